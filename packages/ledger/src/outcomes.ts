import type { RekeyError } from '@rekey/contracts'
import type { EffectResult } from '@rekey/core'
import type { Database, Queryable } from './database.ts'
import type { Leased } from './effects.ts'
import { isOurs } from './format.ts'
import { submitIn } from './submit.ts'

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
  return finish(db, leased, { result }, async (tx) => {
    await tx.query(
      "update effect set state = 'done', outcome = $2, done_at = now(), lease_until = null where key = $1",
      [leased.effect.key, JSON.stringify(result)],
    )
    await submitIn(tx, leased.rotation.id, { type: 'EffectDone', effect: leased.effect, result }, by)
  })
}

/** A retryable failure comes back later; a final one is told to the rotation, which holds or rolls back. */
export async function fail(db: Database, leased: Leased, error: RekeyError, by: string): Promise<Recorded> {
  const { effect, rotation } = leased
  const { code, message, retryable } = error
  return finish(db, leased, { code, message }, async (tx) => {
    const { rows } = await tx.query(
      `update effect set state = $2, outcome = $3, lease_until = null, relayed_at = null, failures = failures + 1,
              due = clock_timestamp() + least(30000, 400 * 2 ^ least(failures, 10)) * interval '1 millisecond'
       where key = $1 returning failures`,
      [effect.key, retryable ? 'pending' : 'failed', JSON.stringify({ code, message })],
    )
    const { failures } = rows[0]
    if (!retryable) await submitIn(tx, rotation.id, { type: 'EffectFailed', effect, code, message }, by)
    else if (failures >= STRUGGLES_AT)
      await submitIn(tx, rotation.id, { type: 'EffectStruggling', effect, code, message, failures }, by)
  })
}

async function finish(
  db: Database,
  leased: Leased,
  outcome: unknown,
  record: (tx: Queryable) => Promise<void>,
): Promise<Recorded> {
  return db.transaction(async (tx) => {
    // The credential's lock comes first, as everywhere.
    await tx.query('select from credential where name = $1 for update', [leased.rotation.credential])
    const { rows } = await tx.query('select state, attempt from effect where key = $1 for update', [
      leased.effect.key,
    ])
    if (rows[0]?.state !== 'pending' || rows[0].attempt !== leased.attempt) {
      await tx.query('update effect set late = late || $2::jsonb where key = $1', [
        leased.effect.key,
        JSON.stringify([{ attempt: leased.attempt, outcome }]),
      ])
      return 'late'
    }
    await record(tx)
    return 'recorded'
  })
}

/** Fires every due timer; returns how many. One that cannot be fired is told and does not stop the others. */
export async function fireTimers(
  db: Database,
  actor: string,
  onFault?: (key: string, error: unknown) => void,
): Promise<number> {
  const { rows } = await db.pool.query(
    `select e.key, r.credential from effect e join rotation r on r.id = e.rotation where e.state = 'pending' and e.kind = 'timer' and e.due <= statement_timestamp() and ${isOurs('$1')} order by e.due limit 500`,
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
    await tx.query('select from credential where name = $1 for update', [credential])
    const { rows } = await tx.query(
      `update effect set state = 'done', done_at = now(), attempt = attempt + 1
       where key = $1 and state = 'pending' and due <= clock_timestamp() returning rotation, spec`,
      [key],
    )
    if (rows[0])
      await submitIn(tx, rows[0].rotation, { type: 'TimerFired', timer: rows[0].spec.timer }, actor)
  })
}
