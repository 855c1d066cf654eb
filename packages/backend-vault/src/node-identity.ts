import { type Call, RekeyError, type Secret } from '@rekey/contracts'
import type { VaultClient } from './client.ts'
import { stagingPath } from './kv-record.ts'
import { vaultPath } from './path.ts'
import type { KvPlace } from './place.ts'

export type NodeIdentity = {
  roleId: string
  /** Opened once, by the node itself (`unwrapSecretId`). */
  wrappedSecretId: Secret
}

const WRAP_TTL_SECONDS = 300

/**
 * Gives one node its own identity in Vault, so that the store's policy and audit log apply to each of its reads.
 * A repeat rewrites policy and role and gives a further secret id; the earlier ones stay good.
 */
export async function enrolNodeIdentity(
  client: VaultClient,
  node: { node: string; reads: readonly KvPlace[]; wrapTtlSeconds?: number },
  call?: Partial<Call>,
): Promise<NodeIdentity> {
  const name = identityName(node.node)
  await allowNodeReads(client, node, call)
  await client.appRoleWrite(
    name,
    { policies: [name], tokenTtlSeconds: 3_600, tokenMaxTtlSeconds: 86_400, secretIdTtlSeconds: 0 },
    call,
  )
  const roleId = await client.appRoleId(name, call)
  const wrappedSecretId = await client.wrappedSecretId(name, node.wrapTtlSeconds ?? WRAP_TTL_SECONDS, call)
  return { roleId, wrappedSecretId }
}

/** Sets what a node may read, without a new secret id. Tokens that it holds obey at once. */
export async function allowNodeReads(
  client: VaultClient,
  { node, reads }: { node: string; reads: readonly KvPlace[] },
  call?: Partial<Call>,
): Promise<void> {
  // A policy names what is in a namespace below its own by the namespace's path.
  const rules = reads.flatMap(({ mount, path, namespace }) => {
    const above = namespace === undefined ? [] : [namespace]
    return [
      [vaultPath(...above, mount, 'data', path), ['read'] as const],
      [`${vaultPath(...above, mount, 'data', stagingPath(path))}/*`, ['read'] as const],
    ]
  })
  await client.policyWrite(identityName(node), Object.fromEntries(rules), call)
}

/** Ends a node's identity. The policy goes first: with it go the rights of tokens that the node still holds. */
export async function retireNodeIdentity(
  client: VaultClient,
  { node }: { node: string },
  call?: Partial<Call>,
): Promise<void> {
  const name = identityName(node)
  await client.policyDelete(name, call)
  await client.appRoleDelete(name, call)
}

function identityName(node: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(node)) return `rekey-node-${node}`
  throw new RekeyError('invalid_configuration', 'a node name may hold lower-case letters, digits and dashes')
}
