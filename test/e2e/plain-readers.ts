import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectSecretsManager } from '@rekey/backend-aws'
import { connectVault } from '@rekey/backend-vault'
import { type ReadValue, Secret } from '@rekey/contracts'
import type { Readers, Servers } from '@rekey/platform'

/** Where clients that never heard of Rekey find the key in AWS; in Vault it is in `value`. */
export const AWS_FIELD = 'api_key'

type Place = { path: string; region: string }

/** Both stores as such clients see them: a field, whoever wrote it. Generation 0 is what nobody numbered. */
export function plainReadersOf(servers: Servers, { path, region }: Place): Readers {
  const { vault, aws, close } = clientsAs('reader', servers, region)
  const bound = () => ({ signal: AbortSignal.timeout(2_000) })
  const readOf = (fields: Record<string, unknown> | undefined, field: string): ReadValue | undefined => {
    const value = fields?.[field]
    if (typeof value !== 'string') return undefined
    const generation = Number(fields?.generation ?? 0)
    return { generation, keyId: String(fields?.key_id ?? ''), value: Secret.of(value), storeVersion: '' }
  }
  return {
    vault: async () => readOf((await vault.kvRead('secret', path, bound()))?.data, 'value'),
    aws: async () => {
      const found = await aws.get(path, { label: 'AWSCURRENT' }, bound())
      return readOf(found && JSON.parse(found.text.reveal()), AWS_FIELD)
    },
    close,
  }
}

/** Somebody who writes a key into the stores by hand. */
export function handOf(servers: Servers, { path, region }: Place) {
  const { vault, aws, close } = clientsAs('rotator', servers, region)
  return {
    async writeVault(key: Secret, at = path) {
      await vault.kvWrite('secret', at, { value: key.reveal() })
    },
    async writeAws(key: Secret, beside: Record<string, string>) {
      await aws.create(
        path,
        randomUUID(),
        Secret.of(JSON.stringify({ ...beside, [AWS_FIELD]: key.reveal() })),
      )
    },
    async readAws(): Promise<Record<string, unknown>> {
      const found = await aws.get(path, { label: 'AWSCURRENT' })
      return JSON.parse(found?.text.reveal() ?? '{}')
    },
    close,
  }
}

function clientsAs(identity: 'reader' | 'rotator', servers: Servers, region: string) {
  const file = (name: string) => join(servers.identitiesDir, identity, name)
  const vault = connectVault({
    addr: servers.vaultAddr,
    roleId: readFileSync(file('vault-role-id'), 'utf8').trim(),
    secretIdFile: file('vault-secret-id'),
  })
  const aws = connectSecretsManager({
    region,
    endpoint: servers.awsEndpoint,
    credentialsFile: file('aws-credentials'),
  })
  return {
    vault,
    aws,
    close() {
      vault.close()
      aws.close()
    },
  }
}
