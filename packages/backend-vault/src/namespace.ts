import { RekeyError } from '@rekey/contracts'
import { type VaultKv, vaultKv } from './kv.ts'
import { vaultPath } from './path.ts'
import type { Bound, VaultSession } from './session.ts'

/** No server has one of this name: Rekey made it up. */
const NO_SUCH = 'rekey-no-such-namespace'

/**
 * KV in a namespace. A server without namespaces ignores the header that names one, and would write to its root; so it is
 * asked first, once, for something in a namespace that cannot be there.
 */
export function namespacedKv(session: VaultSession, name: string): VaultKv {
  const namespace = vaultPath(name)
  const kv = vaultKv(session, namespace)
  let proved: Promise<void> | undefined
  const first = async (bound: Bound | undefined): Promise<void> => {
    proved ??= proveNamespaces(session, namespace, bound).catch((error: unknown) => {
      proved = undefined
      throw error
    })
    await proved
  }
  return {
    kvRead: (mount, path, options) => first(options).then(() => kv.kvRead(mount, path, options)),
    kvWrite: (mount, path, data, options) =>
      first(options).then(() => kv.kvWrite(mount, path, data, options)),
    kvMetadata: (mount, path, bound) => first(bound).then(() => kv.kvMetadata(mount, path, bound)),
    kvWriteCustomMetadata: (mount, path, custom, bound) =>
      first(bound).then(() => kv.kvWriteCustomMetadata(mount, path, custom, bound)),
    kvDestroy: (mount, path, versions, bound) =>
      first(bound).then(() => kv.kvDestroy(mount, path, versions, bound)),
    kvDeleteMetadata: (mount, path, bound) =>
      first(bound).then(() => kv.kvDeleteMetadata(mount, path, bound)),
    kvList: (mount, path, bound) => first(bound).then(() => kv.kvList(mount, path, bound)),
  }
}

async function proveNamespaces(session: VaultSession, namespace: string, bound?: Bound): Promise<void> {
  const what = 'ask Vault whether it has namespaces'
  const path = vaultPath('auth', 'token', 'lookup-self')
  const reply = await session.send(
    { method: 'GET', path, what, namespace: NO_SUCH, answers: [400, 403, 404] },
    bound,
  )
  if (reply.status !== 200) return
  throw new RekeyError(
    'invalid_configuration',
    `this server has no namespaces, so there is no ${namespace}: Vault Enterprise has them, and OpenBao from 2.3 on`,
  )
}
