import type { Secret } from '@rekey/contracts'
import { type VaultCertificates, vaultCertificates } from './certificates.ts'
import { type VaultDatabase, vaultDatabase } from './database.ts'
import { type VaultIdentities, vaultIdentities } from './identities.ts'
import { type VaultKv, vaultKv } from './kv.ts'
import { type VaultLeases, vaultLeases } from './leases.ts'
import { namespacedKv } from './namespace.ts'
import { type VaultPki, vaultPki } from './pki.ts'
import { type VaultSecretIds, vaultSecretIds } from './secret-ids.ts'
import { type AppRole, type Bound, type VaultConnection, type VaultSession, vaultSession } from './session.ts'
import { type VaultStaticRoles, vaultStaticRoles } from './static-roles.ts'
import { type VaultTokens, vaultTokens } from './tokens.ts'
import { type VaultTransit, vaultTransit } from './transit.ts'

/**
 * Vault or OpenBao, as one identity sees it. Throws RekeyError only.
 *
 * It wraps node-vault, of which it uses `request` alone: the generated helpers have stale schemas and escape
 * their arguments for HTML.
 */
export type VaultClient = VaultKv &
  VaultPki &
  VaultTransit &
  VaultIdentities &
  VaultSecretIds &
  VaultDatabase &
  VaultStaticRoles &
  VaultLeases &
  VaultCertificates &
  VaultTokens & {
    readonly addr: string
    /** KV in a namespace below the one that the identity logs in to: the same token, which its policies must allow. */
    inNamespace(namespace: string): VaultKv
    /** Proves that the identity works; logs in where it did not yet. */
    lookupSelf(bound?: Bound): Promise<void>
    /** Closes kept connections. The token is left to its end: others of this identity may not share it. */
    close(): void
  }

/** A client that logs in by AppRole at its first call and keeps its token alive. */
export function connectVault(options: VaultConnection & AppRole): VaultClient {
  return clientOf(vaultSession(options, options))
}

/** A client with a given token, for tests and for the set-up of a server. */
export function withToken(options: VaultConnection & { token: Secret }): VaultClient {
  return clientOf(vaultSession(options, { token: options.token }))
}

/** A client without an identity: for `unwrapSecretId`, `tryLogin` and `caChain`, which need none. */
export function anonymousVault(options: VaultConnection): VaultClient {
  return clientOf(vaultSession(options, 'none'))
}

function clientOf(session: VaultSession): VaultClient {
  const namespaces = new Map<string, VaultKv>()
  return {
    addr: session.addr,
    ...vaultKv(session),
    ...vaultPki(session),
    ...vaultTransit(session),
    ...vaultIdentities(session),
    ...vaultSecretIds(session),
    ...vaultDatabase(session),
    ...vaultStaticRoles(session),
    ...vaultLeases(session),
    ...vaultCertificates(session),
    ...vaultTokens(session),
    inNamespace(namespace) {
      const known = namespaces.get(namespace) ?? namespacedKv(session, namespace)
      namespaces.set(namespace, known)
      return known
    },
    async lookupSelf(bound) {
      const request = {
        method: 'GET',
        path: 'auth/token/lookup-self',
        what: 'look up our Vault token',
      } as const
      await session.send(request, bound)
    },
    close: () => session.close(),
  }
}
