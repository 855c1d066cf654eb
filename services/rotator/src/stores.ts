import { connectSecretsManager, type SecretsManager, secretsManagerStore } from '@rekey/backend-aws'
import { type VaultClient, vaultKvStore } from '@rekey/backend-vault'
import type { CredentialSpec, Store, StoreSpec } from '@rekey/contracts'

export type Stores = (spec: CredentialSpec) => { name: string; store: Store }[]

/** Binds a credential's stores, in their stated order, to one identity's connections. */
export function storesOf(connections: {
  vault: VaultClient
  awsCredentialsFile?: string | undefined
}): Stores {
  const regions = new Map<string, SecretsManager>()
  const region = (name: string) => {
    const known = regions.get(name)
    if (known) return known
    const file = connections.awsCredentialsFile
    const made = connectSecretsManager({
      region: name,
      ...(file === undefined ? {} : { credentialsFile: file }),
    })
    regions.set(name, made)
    return made
  }
  const bind = (spec: StoreSpec): Store => {
    switch (spec.kind) {
      case 'vault-kv':
        return vaultKvStore(connections.vault, spec)
      case 'aws-secrets-manager':
        return secretsManagerStore(region(spec.region), spec)
      default:
        return spec satisfies never
    }
  }
  return (spec) => spec.stores.map((store) => ({ name: store.name, store: bind(store) }))
}
