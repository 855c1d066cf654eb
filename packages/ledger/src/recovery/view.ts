import { type Found, type FoundVerdict, verdictOf } from '@rekey/core'
import type { Database } from '../database.ts'

/** The last recovery, as people see it. */
export type RecoveryView = {
  id: string
  askedBy: string
  reason: string
  askedAt: string
  /** The audit topic's last record, to go on from; null: the auditor has not asked the topic yet. */
  auditHead: number | null
  /** How many credentials wait for a human. */
  held: number
  credentials: RecoveredCredential[]
}

export type RecoveredCredential = {
  credential: string
  /** What the restored ledger believed to be current. */
  ledger: number | null
  /** Null: its stores were not looked at so far. */
  verdict: FoundVerdict | null
  stores: { store: string; current: number | null }[]
  /** Every generation that is still in a store, and what the endpoints said to it. */
  generations: { generation: number; tried: string; stores: string[] }[]
  /** The ledger's open rotation, which ended because it was about the past. */
  closed: string | null
  /** Causes that wait for the release. */
  waiting: number
  error: string | null
  releasedBy: string | null
  /** What the release opened. */
  rotation: string | null
}

export async function showRecovery(db: Database): Promise<RecoveryView | null> {
  const { rows } = await db.pool.query('select * from recovery order by asked_at desc limit 1')
  const recovery = rows[0]
  if (!recovery) return null
  const { rows: items } = await db.pool.query(
    'select * from recovery_item where recovery = $1 order by released_at is not null, credential',
    [recovery.id],
  )
  return {
    id: recovery.id,
    askedBy: recovery.asked_by,
    reason: recovery.reason,
    askedAt: recovery.asked_at.toISOString(),
    auditHead: recovery.audit_sequence,
    held: items.filter((item) => item.released_at === null).length,
    credentials: items.map((item): RecoveredCredential => {
      const found: Found | null = item.found
      return {
        credential: item.credential,
        ledger: item.believed,
        verdict: found && verdictOf(found, item.believed),
        stores: found?.stores.map(({ store, current }) => ({ store, current })) ?? [],
        generations:
          found?.generations.map(({ generation, tried, stores }) => ({ generation, tried, stores })) ?? [],
        closed: item.closed_rotation,
        waiting: item.waiting.length,
        error: item.error,
        releasedBy: item.released_by,
        rotation: item.rotation,
      }
    }),
  }
}
