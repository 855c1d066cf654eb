import type { RekeyError } from '@rekey/contracts'
import type { EffectResult } from '@rekey/core'
import type { Database, Queryable } from './database.ts'
import type { Leased } from './effects.ts'
import { isOurs } from './format.ts'
import { type Lane, lanesOf, PENDING } from './lanes.ts'
import { type CredentialRow, lockCredential, submitIn } from './submit.ts'

/** After so many failures in a row of a step that may still succeed, a human is told. */
const STRUGGLES_AT = 5

/** `late`: another attempt or epoch has the effect now; the outcome was kept as evidence and decides nothing. */
export type Recorded = 'recorded' | 'late'

export async function complete(
  db: Database,
  leased: Leased,
  result: EffectResult,
  by: string,
): Promise<Recorded> {
  const { effect, attempt, rotation } = leased
  return finish(db, leased, { result }, async (tx, credential) => {
    const { rows } = await tx.query(
      `update effect set state = 'done', outcome = $3, done_at = now(), lease_until = null
       where ${OURS} returning key`,
      [effect.key, attempt, JSON.stringify(result)],
    )
    if (!rows[0]) return 'late'
    await submitIn(tx, rotation.id, { type: 'EffectDone', effect, result }, by, credential)
    return 'recorded'
  })
}

/** Still to be done, and by this attempt. */
const OURS = "key = $1 and attempt = $2 and state = 'pending'"

/** A retryable failure comes back later; a final one is told to the rotation, which holds or rolls back. */
export async function fail(db: Database, leased: Leased, error: RekeyError, by: string): Promise<Recorded> {
  const { effect, attempt, rotation } = leased
  const { code, message, retryable } = error
  return finish(db, leased, { code, message }, async (tx, credential) => {
    const { rows } = await tx.query(
      `update effect set state = $3, outcome = $4, lease_until = null, relayed_at = null, failures = failures + 1,
              due = clock_timestamp() + least(30000, 400 * 2 ^ least(failures, 10)) * interval '1 millisecond'
       where ${OURS} returning failures`,
      [effect.key, attempt, retryable ? 'pending' : 'failed', JSON.stringify({ code, message })],
    )
    if (!rows[0]) return 'late'
    const { failures } = rows[0]
    const input = retryable
      ? ({ type: 'EffectStruggling', effect, code, message, failures } as const)
      : ({ type: 'EffectFailed', effect, code, message } as const)
    if (!retryable || failures >= STRUGGLES_AT) await submitIn(tx, rotation.id, input, by, credential)
    return 'recorded'
  })
}

async function finish(
  db: Database,
  leased: Leased,
  outcome: unknown,
  record: (tx: Queryable, locked: CredentialRow) => Promise<Recorded>,
): Promise<Recorded> {
  return db.transaction(async (tx) => {
    // The credential's lock comes first, as everywhere.
    const recorded = await record(tx, await lockCredential(tx, leased.rotation.credential))
    if (recorded === 'late')
      await tx.query('update effect set late = late || $2::jsonb where key = $1', [
        leased.effect.key,
        JSON.stringify([{ attempt: leased.attempt, outcome }]),
      ])
    return recorded
  })
}

export type Firing = {
  /** Absent: both, emergencies first. */
  lane?: Lane
  onFault?: (key: string, error: unknown) => void
}

/** Fires every due timer; returns how many. One that cannot be fired is told and does not stop the others. */
export async function fireTimers(
  db: Database,
  actor: string,
  { lane, onFault }: Firing = {},
): Promise<number> {
  let fired = 0
  for (const one of lanesOf(lane)) fired += await fireTimersOf(db, one, actor, onFault)
  return fired
}

async function fireTimersOf(
  db: Database,
  lane: Lane,
  actor: string,
  onFault: Firing['onFault'],
): Promise<number> {
  const { rows } = await db.pool.query(
    `select e.key, r.credential from effect e join rotation r on r.id = e.rotation where ${PENDING[lane]} and e.kind = 'timer' and e.due <= statement_timestamp() and ${isOurs('$1')} order by e.due, e.key limit 500`,
    [db.format],
  )
  let fired = 0
  for (const { key, credential } of rows) {
    try {
      await fireTimer(db, key, credential, actor)
      fired++
    } catch (error) {
      if (!onFault) throw error
      onFault(key, error)
      // Not first in the queue again at once.
      await db.pool.query("update effect set due = clock_timestamp() + interval '5 seconds' where key = $1", [
        key,
      ])
    }
  }
  return fired
}

async function fireTimer(db: Database, key: string, credential: string, actor: string): Promise<void> {
  await db.transaction(async (tx) => {
    const locked = await lockCredential(tx, credential)
    const { rows } = await tx.query(
      `update effect set state = 'done', done_at = now(), attempt = attempt + 1
       where key = $1 and state = 'pending' and due <= clock_timestamp() returning rotation, spec`,
      [key],
    )
    if (rows[0])
      await submitIn(tx, rows[0].rotation, { type: 'TimerFired', timer: rows[0].spec.timer }, actor, locked)
  })
}
