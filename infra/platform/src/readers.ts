import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectSecretsManager, secretsManagerStore } from '@rekey/backend-aws'
import { connectVault, vaultKvStore } from '@rekey/backend-vault'
import type { ReadValue, Store } from '@rekey/contracts'
import type { Servers } from './services.ts'

const READ_MS = 2_000

export type Readers = {
  vault: () => Promise<ReadValue | undefined>
  aws: () => Promise<ReadValue | undefined>
  close(): void
}

export type SecretPlace = { path: string; region: string }

/** Both stores as a client sees them: an identity that may read what is current, and nothing else. */
export function readersOf(servers: Servers, secret: SecretPlace): Readers {
  const { vault, aws, close } = storesAs('reader', servers, secret)
  const call = () => ({ key: 'reader', signal: AbortSignal.timeout(READ_MS) })
  return { vault: () => vault.readCurrent(call()), aws: () => aws.readCurrent(call()), close }
}

/** Both stores with the rights of one identity. */
export function storesAs(
  identity: 'reader' | 'rotator',
  servers: Servers,
  secret: SecretPlace,
): { vault: Store; aws: Store; close(): void } {
  const file = (name: string) => join(servers.identitiesDir, identity, name)
  const vault = connectVault({
    addr: servers.vaultAddr,
    roleId: readFileSync(file('vault-role-id'), 'utf8').trim(),
    secretIdFile: file('vault-secret-id'),
  })
  const aws = connectSecretsManager({
    region: secret.region,
    endpoint: servers.awsEndpoint,
    credentialsFile: file('aws-credentials'),
  })
  return {
    vault: vaultKvStore(vault, { mount: 'secret', path: secret.path }),
    aws: secretsManagerStore(aws, { secretId: secret.path }),
    close() {
      vault.close()
      aws.close()
    },
  }
}
