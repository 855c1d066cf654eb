import type { ErrorCode } from '@rekey/contracts'
import type { EffectResult } from '@rekey/core'
import { isOf, type Lane, type Leased, lanesOf } from './effects.ts'
import { submit } from './submit.ts'
import type { EffectRow, Tables } from './tables.ts'

/** After so many failures in a row of a step that may still succeed, a human is told. */
const STRUGGLES_AT = 5

export type Recorded = 'recorded' | 'late'

type Outcome = Pick<Leased, 'effect' | 'attempt' | 'rotation'>

export function complete(tables: Tables, leased: Outcome, result: EffectResult, by: string): Recorded {
  const { effect, rotation } = leased
  return finish(tables, leased, { result }, (row) => {
    tables.effects.put(row.key, { ...row, state: 'done', outcome: result, leaseUntil: null })
    submit(tables, rotation.id, { type: 'EffectDone', effect, result }, by)
  })
}

/** A retryable failure comes back later; a final one is told to the rotation. */
export function fail(
  tables: Tables,
  leased: Outcome,
  { code, message, retryable }: { code: ErrorCode; message: string; retryable: boolean },
  by: string,
): Recorded {
  const { effect, rotation } = leased
  return finish(tables, leased, { code, message }, (row) => {
    const failures = row.failures + 1
    tables.effects.put(row.key, {
      ...row,
      state: retryable ? 'pending' : 'failed',
      outcome: { code, message },
      leaseUntil: null,
      relayedAt: null,
      failures,
      due: tables.clock() + Math.min(30_000, 400 * 2 ** Math.min(failures - 1, 10)),
    })
    if (!retryable) submit(tables, rotation.id, { type: 'EffectFailed', effect, code, message }, by)
    else if (failures >= STRUGGLES_AT)
      submit(tables, rotation.id, { type: 'EffectStruggling', effect, code, message, failures }, by)
  })
}

/** An outcome of an attempt that is not the present one is kept as evidence, and decides nothing. */
function finish(
  tables: Tables,
  { effect: { key }, attempt }: Outcome,
  outcome: unknown,
  record: (row: EffectRow) => void,
): Recorded {
  return tables.transaction(() => {
    const row = tables.effects.get(key)
    if (row?.state === 'pending' && row.attempt === attempt) {
      record(row)
      return 'recorded'
    }
    if (row) tables.effects.put(key, { ...row, late: [...row.late, { attempt, outcome }] })
    return 'late'
  })
}

/** Fires every due timer; returns how many. */
export function fireTimers(tables: Tables, actor: string, { lane }: { lane?: Lane } = {}): number {
  let fired = 0
  for (const one of lanesOf(lane)) fired += fireTimersOf(tables, one, actor)
  return fired
}

function fireTimersOf(tables: Tables, lane: Lane, actor: string): number {
  const now = tables.clock()
  const due: EffectRow[] = []
  for (const row of tables.effects.hot())
    if (row.state === 'pending' && row.effect.kind === 'timer' && row.due <= now && isOf(tables, row, lane))
      due.push(row)
  due.sort((a, b) => a.due - b.due || (a.key < b.key ? -1 : 1))
  let fired = 0
  for (const { key } of due)
    tables.transaction(() => {
      const row = tables.effects.get(key)
      // An earlier one may have cancelled it, or armed it again.
      if (row?.state !== 'pending' || row.effect.kind !== 'timer' || row.due > now) return
      tables.effects.put(key, { ...row, state: 'done', attempt: row.attempt + 1 })
      submit(tables, row.rotation, { type: 'TimerFired', timer: row.effect.timer }, actor)
      fired++
    })
  return fired
}
