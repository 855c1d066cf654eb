import type { VaultClient } from './client.ts'
import type { VaultKv } from './kv.ts'

/** A credential's place in a KV mount. */
export type KvPlace = { mount: string; path: string; namespace?: string | undefined }

/** `field`: where readers find the value, with others beside it; without it: it is all that they find. */
export type KvSecret = KvPlace & { field?: string | undefined }

export function kvAt(client: VaultClient, { namespace }: KvPlace): VaultKv {
  return namespace === undefined ? client : client.inNamespace(namespace)
}
