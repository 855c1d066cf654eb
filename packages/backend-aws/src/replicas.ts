import { setTimeout as pause } from 'node:timers/promises'
import { RekeyError } from '@rekey/contracts'
import type { SecretsManager } from './client.ts'
import type { Bound } from './connection.ts'

/** A region that AWS copies the secret to, and the way there. */
export type Replica = { region: string; client: Pick<SecretsManager, 'labels'> }

/** AWS usually copies within a second or two; a longer wait is the ledger's, which keeps no slot for it. */
const PATIENCE_MS = 2_500
const LOOK_MS = 300

/**
 * Returns when every replica shows this version to its readers. Until then it throws, so that nothing that follows on it
 * takes place: the old value is not revoked where somebody still gets it.
 */
export async function reachReplicas(
  {
    client,
    secretId,
    versionId,
    replicas,
  }: {
    client: Pick<SecretsManager, 'replication'>
    secretId: string
    versionId: string
    replicas: readonly Replica[]
  },
  bound: Bound,
): Promise<void> {
  const until = performance.now() + PATIENCE_MS
  let behind = replicas
  for (;;) {
    const shown = await Promise.all(
      behind.map(async (replica) => ({ replica, labels: await labelsIn(replica, secretId, bound) })),
    )
    behind = shown
      .filter(({ labels }) => !labels?.get(versionId)?.includes('AWSCURRENT'))
      .map(({ replica }) => replica)
    if (behind.length === 0) return
    if (performance.now() + LOOK_MS > until) break
    await pause(LOOK_MS, undefined, bound.signal && { signal: bound.signal }).catch(() => undefined)
  }
  const regions = behind.map(({ region }) => region)
  const status = await client.replication(secretId, bound)
  const absent = regions.filter((region) => !status?.has(region))
  if (absent.length > 0)
    throw new RekeyError(
      'not_found',
      `secret ${secretId} is not replicated to ${absent.join(', ')}: replicate it, or take that out of its replicas`,
    )
  const seen = regions.map((region) => `${region} (${status?.get(region)})`)
  throw new RekeyError(
    'replica_behind',
    `secret ${secretId}: version ${versionId} is current, but not yet in ${seen.join(', ')}`,
  )
}

async function labelsIn({ region, client }: Replica, secretId: string, bound: Bound) {
  try {
    return await client.labels(secretId, bound)
  } catch (error) {
    if (!RekeyError.is(error)) throw error
    throw new RekeyError(error.code, `${error.message} (its replica in ${region})`)
  }
}
