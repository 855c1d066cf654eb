import { readFileSync } from 'node:fs'
import { connectSecretsManager, secretsManagerStore } from '@rekey/backend-aws'
import { connectVault, vaultKvStore } from '@rekey/backend-vault'
import type { ReadValue } from '@rekey/contracts'
import type { Stage } from './stage.ts'

const READ_MS = 2_000
/** As the example's credential names it. */
const REGION = 'eu-central-1'

export type Readers = {
  vault: () => Promise<ReadValue | undefined>
  aws: () => Promise<ReadValue | undefined>
  close(): void
}

/** The two stores as a client sees them: an identity that may read what is current, and nothing else. */
export function readersOf(stage: Stage): Readers {
  const { servers, identities } = stage
  const { vaultRoleIdFile, vaultSecretIdFile, awsCredentialsFile } = identities.of('reader')
  const vault = connectVault({
    addr: servers.vaultAddr,
    roleId: readFileSync(vaultRoleIdFile, 'utf8').trim(),
    secretIdFile: vaultSecretIdFile,
  })
  const aws = connectSecretsManager({
    region: REGION,
    endpoint: servers.awsEndpoint,
    ...(awsCredentialsFile === undefined ? {} : { credentialsFile: awsCredentialsFile }),
  })
  const path = 'prod/chat-gateway/api-key'
  const vaultStore = vaultKvStore(vault, { mount: 'secret', path })
  const awsStore = secretsManagerStore(aws, { secretId: path })
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
