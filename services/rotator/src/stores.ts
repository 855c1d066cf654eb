import {
  type AwsConnection,
  connectSecretsManager,
  type Quotas,
  type SecretsManager,
  secretsManagerStore,
} from '@rekey/backend-aws'
import { type VaultClient, vaultKvStore } from '@rekey/backend-vault'
import type { CredentialSpec, SecretsManagerSpec, Store, StoreSpec } from '@rekey/contracts'

export type Stores = (spec: CredentialSpec) => { name: string; store: Store }[]

type Role = AwsConnection['role']

/** Binds a credential's stores, in their stated order, to one identity's connections. */
export function storesOf(connections: {
  vault: VaultClient
  awsCredentialsFile?: string | undefined
  /** The same for all that share an identity. */
  awsQuotas?: Quotas | undefined
}): Stores {
  const known = new Map<string, SecretsManager>()
  const { vault, awsCredentialsFile: file, awsQuotas: quotas } = connections
  const client = (region: string, role: Role) => {
    const name = `${region} ${role?.arn} ${role?.externalId}`
    const found = known.get(name)
    if (found) return found
    const made = connectSecretsManager({
      region,
      ...(file !== undefined && { credentialsFile: file }),
      ...(quotas && { quotas }),
      ...(role && { role }),
    })
    known.set(name, made)
    return made
  }
  const secret = ({ region, secretId, field, roleArn, externalId, replicas = [] }: SecretsManagerSpec) => {
    const role: Role = roleArn ? { arn: roleArn, ...(externalId !== undefined && { externalId }) } : undefined
    return secretsManagerStore(client(region, role), {
      secretId,
      field,
      replicas: replicas.map((at) => ({ region: at, client: client(at, role) })),
    })
  }
  const bind = (spec: StoreSpec): Store => {
    switch (spec.kind) {
      case 'vault-kv':
        return vaultKvStore(vault, spec)
      case 'aws-secrets-manager':
        return secret(spec)
      default:
        return spec satisfies never
    }
  }
  return (spec) => spec.stores.map((store) => ({ name: store.name, store: bind(store) }))
}
