import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectSecretsManager, secretsManagerStore } from '@rekey/backend-aws'
import { connectVault, vaultKvStore } from '@rekey/backend-vault'
import type { ReadValue } from '@rekey/contracts'
import type { Servers } from './services.ts'

const READ_MS = 2_000

export type Readers = {
  vault: () => Promise<ReadValue | undefined>
  aws: () => Promise<ReadValue | undefined>
  close(): void
}

/** Both stores as a client sees them: an identity that may read what is current, and nothing else. */
export function readersOf(servers: Servers, secret: { path: string; region: string }): Readers {
  const file = (name: string) => join(servers.identitiesDir, 'reader', name)
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
  const vaultStore = vaultKvStore(vault, { mount: 'secret', path: secret.path })
  const awsStore = secretsManagerStore(aws, { secretId: secret.path })
  const call = () => ({ key: 'reader', signal: AbortSignal.timeout(READ_MS) })
  return {
    vault: () => vaultStore.readCurrent(call()),
    aws: () => awsStore.readCurrent(call()),
    close() {
      vault.close()
      aws.close()
    },
  }
}
