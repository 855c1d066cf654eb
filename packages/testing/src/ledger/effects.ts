import type { Effect, Rotation } from '@rekey/core'
import type { EffectRow, Tables } from './tables.ts'

/** Written in the transaction whose events ask for them. Timers and probes may be armed again under their key. */
export function writeEffects(tables: Tables, rotation: Rotation, effects: readonly Effect[]): void {
  for (const effect of effects) {
    const { key, due } = effect
    const known = tables.effects.get(key)
    const isArmedAgain = known && (effect.kind === 'timer' || effect.kind === 'probe')
    if (known && !(isArmedAgain && known.state !== 'pending')) continue
    tables.effects.put(key, {
      attempt: 0,
      leaseBy: null,
      relays: 0,
      outcome: null,
      late: [],
      ...known,
      key,
      rotation: rotation.id,
      target: targetOf(effect),
      epoch: rotation.epoch,
      effect,
      state: 'pending',
      due,
      failures: 0,
      leaseUntil: null,
      relayedAt: null,
    })
  }
}

/** Where an effect acts: effects of different plans on one target wait for each other's late acts. */
function targetOf(effect: Effect): string | null {
  if ('store' in effect) return effect.store
  const { kind } = effect
  const isAuthority = kind === 'install' || kind === 'suspend' || kind === 'reinstate' || kind === 'revoke'
  return isAuthority ? '@authority' : null
}

/**
 * Until when a late act may come on the same target: of a cancelled effect, or of an older plan's. 0: none may, or this
 * one is too urgent to wait.
 */
function lateUntil(tables: Tables, row: EffectRow): number {
  if (row.target === null || ('urgent' in row.effect && row.effect.urgent)) return 0
  let until = 0
  for (const other of tables.effects.hot()) {
    if (other.rotation !== row.rotation || other.target !== row.target || other.key === row.key) continue
    const isContrary = (other.epoch < row.epoch && other.state !== 'done') || other.state === 'cancelled'
    if (isContrary) until = Math.max(until, other.leaseUntil ?? 0)
  }
  return until
}

export type Leased = {
  effect: Effect
  attempt: number
  rotation: Pick<Rotation, 'id' | 'credential'>
  shown: Record<string, string>
  keyIds: Record<number, string>
}

/** Takes an effect. Undefined: done, cancelled, not due, leased by another, or to wait for a late act. */
export function lease(tables: Tables, key: string, by: string, leaseMs: number): Leased | undefined {
  const now = tables.clock()
  const row = tables.effects.get(key)
  if (row?.state !== 'pending' || row.due > now || (row.leaseUntil ?? 0) > now) return undefined
  if (lateUntil(tables, row) > now) return undefined
  const attempt = row.attempt + 1
  tables.effects.put(key, { ...row, attempt, leaseBy: by, leaseUntil: now + leaseMs })
  const rotation = tables.rotations.get(row.rotation)?.state
  const shown = tables.credentials.get(rotation?.credential ?? '')?.shown
  if (!rotation || !shown) throw new Error(`${key} belongs to no rotation`)
  return { effect: row.effect, attempt, rotation, shown, keyIds: {} }
}

/** Leases that ended stay ended, and those of settled, cancelled or retried effects are not this worker's any more. */
export function renew(tables: Tables, held: { key: string; attempt: number }[], leaseMs: number): string[] {
  const now = tables.clock()
  return held.flatMap(({ key, attempt }) => {
    const row = tables.effects.get(key)
    if (row?.state !== 'pending' || row.attempt !== attempt || (row.leaseUntil ?? 0) <= now) return []
    tables.effects.put(key, { ...row, leaseUntil: Math.max(row.leaseUntil ?? 0, now + leaseMs) })
    return [key]
  })
}

/** An emergency is a rotation in mode `expedite` or `contain`. */
export type Lane = 'emergency' | 'routine'

/** Both, emergencies first, where none is asked for. */
export const lanesOf = (lane: Lane | undefined): readonly Lane[] => (lane ? [lane] : ['emergency', 'routine'])

export function isOf(tables: Tables, { rotation }: EffectRow, lane: Lane): boolean {
  const mode = tables.rotations.get(rotation)?.state.mode ?? 'rotate'
  return (mode === 'rotate') === (lane === 'routine')
}

function* waitingOf(tables: Tables, lane: Lane): Iterable<EffectRow> {
  for (const row of tables.effects.hot())
    if (row.state === 'pending' && row.effect.kind !== 'timer' && isOf(tables, row, lane)) yield row
}

const AHEAD_MS = 1_000

type Look = { worker: 'rotator' | 'fleet'; graceMs: number; limit: number; lane?: Lane }

/** Effects of a worker's kinds that nobody was woken for, or nobody in time. */
export function unattended(
  tables: Tables,
  { lane, limit, ...look }: Look,
): { keys: string[]; nextMs: number | undefined } {
  const keys: string[] = []
  const next: number[] = []
  for (const one of lanesOf(lane)) {
    const waits = waitsOf(tables, one, look)
    const ready = waits.filter(({ ms }) => ms <= 0).sort(byDue)
    keys.push(...ready.slice(0, limit - keys.length).map(({ key }) => key))
    if (keys.length >= limit) return { keys, nextMs: undefined }
    next.push(...waits.filter(({ ms }) => ms > 0).map(({ ms }) => ms))
  }
  return { keys, nextMs: next.length > 0 ? Math.min(...next) : undefined }
}

/** For how long each still has to wait before it is unattended. */
function waitsOf(
  tables: Tables,
  lane: Lane,
  { worker, graceMs }: Omit<Look, 'lane' | 'limit'>,
): { key: string; due: number; ms: number }[] {
  const now = tables.clock()
  return [...waitingOf(tables, lane)]
    .filter((row) => (row.effect.kind === 'deliver') === (worker === 'fleet') && row.due <= now + AHEAD_MS)
    .map((row) => ({
      key: row.key,
      due: row.due,
      ms: Math.max(row.due, row.leaseUntil ?? 0, lateUntil(tables, row)) - now + graceMs,
    }))
}

type Due = { due: number; key: string }

const byDue = (a: Due, b: Due) => a.due - b.due || (a.key < b.key ? -1 : 1)

/** When an unanswered wake-up is sent again: later each time, while nobody takes it up. */
function resendAt({ relayedAt, relays, attempt }: EffectRow, resendMs: number): number {
  return (relayedAt ?? 0) + resendMs * 2 ** Math.min(Math.max(relays - attempt - 1, 0), 4)
}

export type Waiting = {
  key: string
  relays: number
  kind: Effect['kind']
  rotation: string
  nodes: string[]
}

/** Due effects that nobody works on, marked as relayed. */
export function takeWaiting(tables: Tables, resendMs: number, lane?: Lane, limit = 100): Waiting[] {
  const taken: Waiting[] = []
  for (const one of lanesOf(lane)) taken.push(...takeWaitingOf(tables, one, resendMs, limit - taken.length))
  return taken
}

function takeWaitingOf(tables: Tables, lane: Lane, resendMs: number, limit: number): Waiting[] {
  const now = tables.clock()
  const isUp = (row: EffectRow) =>
    row.due <= now &&
    (row.leaseUntil ?? 0) <= now &&
    lateUntil(tables, row) <= now &&
    (row.relayedAt === null ||
      resendAt(row, resendMs) <= now ||
      (row.leaseUntil !== null && row.relayedAt < row.leaseUntil))
  const up = [...waitingOf(tables, lane)].filter(isUp).sort(byDue)
  return up.slice(0, limit).map((row) => {
    const relays = row.relays + 1
    tables.effects.put(row.key, { ...row, relays, relayedAt: now })
    const { effect, key, rotation } = row
    return { key, relays, kind: effect.kind, rotation, nodes: effect.kind === 'deliver' ? effect.nodes : [] }
  })
}

/** Milliseconds until the next timer is due; undefined: there is none. */
export function nextTimerMs(tables: Tables, lane?: Lane): number | undefined {
  let next = Number.POSITIVE_INFINITY
  for (const row of tables.effects.hot())
    if (row.state === 'pending' && row.effect.kind === 'timer' && (!lane || isOf(tables, row, lane)))
      next = Math.min(next, row.due)
  return next === Number.POSITIVE_INFINITY ? undefined : next - tables.clock()
}

const TEN_MINUTES_MS = 600_000

/** Milliseconds until a worker should be woken for something; undefined: there is nothing within ten minutes. */
export function nextWorkMs(tables: Tables, resendMs: number, lane?: Lane): number | undefined {
  let next = Number.POSITIVE_INFINITY
  for (const row of lanesOf(lane).flatMap((one) => [...waitingOf(tables, one)])) {
    const { relayedAt, leaseUntil, due } = row
    if (due > tables.clock() + TEN_MINUTES_MS) continue
    const again =
      leaseUntil !== null && (relayedAt === null || relayedAt < leaseUntil)
        ? leaseUntil
        : relayedAt === null
          ? 0
          : resendAt(row, resendMs)
    const up = Math.max(due, again)
    next = Math.min(next, up > tables.clock() ? up : Math.max(up, lateUntil(tables, row)))
  }
  return next === Number.POSITIVE_INFINITY ? undefined : next - tables.clock()
}

/** A rotation was raised: it must not wait for wake-ups in the other lane's queue. */
export function wakeAgain(tables: Tables, rotation: string): void {
  for (const row of tables.effects.hot())
    if (row.rotation === rotation && row.state === 'pending' && row.effect.kind !== 'timer')
      tables.effects.put(row.key, { ...row, relayedAt: null })
}

/** When the last lease ends that somebody still holds, on effects that were cancelled too; 0: nobody holds one. */
export function leasedUntil(tables: Tables, rotation: string | null): number {
  const now = tables.clock()
  let until = 0
  for (const row of tables.effects.hot())
    if (row.rotation === rotation && (row.leaseUntil ?? 0) > now) until = Math.max(until, row.leaseUntil ?? 0)
  return until
}

function cancel(tables: Tables, rotation: string, which: (row: EffectRow) => boolean): void {
  for (const row of tables.effects.all())
    if (row.rotation === rotation && which(row)) tables.effects.put(row.key, { ...row, state: 'cancelled' })
}

const isOpen = ({ state }: EffectRow) => state === 'pending' || state === 'failed'

/** Effects of tracks that were given up. */
export function cancelTracks(tables: Tables, { id, epoch }: Rotation, generations: number[]): void {
  cancel(
    tables,
    id,
    (row) =>
      isOpen(row) && row.epoch < epoch && row.effect.of !== null && generations.includes(row.effect.of),
  )
}

/** Past the point of no return nothing may make it acceptable again, or show it again. */
export function cancelContrary(tables: Tables, { id }: Rotation, generation: number): void {
  const isContrary = (effect: Effect) => {
    if (effect.kind === 'restore') return effect.base === generation
    const { kind } = effect
    const bringsBack = kind === 'install' || kind === 'suspend' || kind === 'reinstate'
    return bringsBack && effect.generation === generation
  }
  cancel(tables, id, (row) => isOpen(row) && isContrary(row.effect))
}

/** The rotation has ended: only timers and repeats can be left. */
export function cancelRest(tables: Tables, { id }: Rotation): void {
  cancel(tables, id, ({ state }) => state === 'pending')
}

/** A human resumed: what failed is tried again, and what is retried is tried at once. */
export function retryFailed(tables: Tables, rotation: string): void {
  const now = tables.clock()
  for (const row of tables.effects.all()) {
    if (row.rotation !== rotation || row.effect.kind === 'timer' || !isOpen(row) || row.failures === 0)
      continue
    const leaseUntil = row.state === 'failed' ? null : row.leaseUntil
    tables.effects.put(row.key, {
      ...row,
      state: 'pending',
      due: now,
      failures: 0,
      relayedAt: null,
      leaseUntil,
    })
  }
}
