import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export const SERVICES = ['rotator', 'prober', 'fleet', 'control', 'webhooks', 'reader'] as const
export type ServiceName = (typeof SERVICES)[number]
/** Those that work in AWS, too. */
export const IN_AWS = ['rotator', 'prober', 'reader'] as const satisfies readonly ServiceName[]

export type Identity = {
  vaultRoleIdFile: string
  vaultSecretIdFile: string
  /** A shared-credentials file. Only who has business in AWS has one. */
  awsCredentialsFile?: string
}

/** What each service proves itself with: files of mode 0600 in folders of mode 0700. */
export type Identities = { dir: string; of(service: ServiceName): Identity }

export function identitiesIn(dir: string): Identities {
  return {
    dir,
    of(service) {
      const folder = join(dir, service)
      return {
        vaultRoleIdFile: join(folder, 'vault-role-id'),
        vaultSecretIdFile: join(folder, 'vault-secret-id'),
        ...(IN_AWS.some((one) => one === service) && {
          awsCredentialsFile: join(folder, 'aws-credentials'),
        }),
      }
    },
  }
}

export async function makeIdentityFolders(identities: Identities): Promise<void> {
  await mkdir(identities.dir, { recursive: true, mode: 0o700 })
  for (const service of SERVICES) await mkdir(join(identities.dir, service), { recursive: true, mode: 0o700 })
}

export function keep(file: string, value: string): Promise<void> {
  return writeFile(file, value, { mode: 0o600 })
}

export function kept(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined)
}
