import type { Queryable } from '../database.ts'
import type { DriftEnd, DriftEntry } from './entries.ts'
import type { DriftedStore } from './judge.ts'

/** Who wants a drift settled, and by which rotation. */
export type DriftOrder = {
  by: string
  reason: string
  ticket: string | null
  /** ISO 8601. */
  at: string
  /** Which replaces what is there. */
  rotation: string
}

export type Finding = {
  id: number
  generation: number
  stores: DriftedStore[]
  ordered: DriftOrder | null
}

/** The open drift of a credential, locked. Call it under the credential's lock. */
export async function openFinding(tx: Queryable, credential: string): Promise<Finding | undefined> {
  const { rows } = await tx.query(
    'select id, generation, stores, ordered from drift where credential = $1 and settled_at is null for update',
    [credential],
  )
  return rows[0] && { ...rows[0], id: Number(rows[0].id) }
}

/** Opens a finding, or changes the open one; returns what is to be journalled of it. */
export async function recordDrift(
  tx: Queryable,
  { name, generation }: { name: string; generation: number },
  known: Finding | undefined,
  stores: DriftedStore[],
): Promise<DriftEntry[]> {
  const found = { type: 'DriftFound', credential: name, generation, stores } as const
  if (!known) {
    const { rows } = await tx.query(
      'insert into drift (credential, generation, stores) values ($1, $2, $3) returning id',
      [name, generation, JSON.stringify(stores)],
    )
    return [{ ...found, drift: Number(rows[0].id), again: false }]
  }
  if (known.generation === generation && isSame(known.stores, stores)) {
    // Nothing is under way: the rotation that was to replace it was given up.
    if (known.ordered) await tx.query('update drift set ordered = null where id = $1', [known.id])
    return []
  }
  // What was ordered was about what was seen then.
  await tx.query('update drift set generation = $2, stores = $3, ordered = null where id = $1', [
    known.id,
    generation,
    JSON.stringify(stores),
  ])
  return [{ ...found, drift: known.id, again: true }]
}

/** The finding is over. */
export async function closeFinding(
  tx: Queryable,
  { id, credential }: { id: number; credential: string },
  ended: { how: DriftEnd; generation: number | null; rotation: string | null },
): Promise<DriftEntry> {
  await tx.query('update drift set settled_at = clock_timestamp() where id = $1', [id])
  return { type: 'DriftSettled', credential, drift: id, ...ended }
}

/** Stores keep their order; jsonb does not keep that of fields. */
function isSame(before: DriftedStore[], after: DriftedStore[]): boolean {
  const text = (stores: DriftedStore[]) =>
    JSON.stringify(
      stores.map(({ store, kind, governed, seen, shows }) => [store, kind, governed, seen, shows]),
    )
  return text(before) === text(after)
}
