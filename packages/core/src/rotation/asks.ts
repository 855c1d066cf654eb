import type { Effect } from './effects.ts'
import { isDying, type Rotation } from './state.ts'

/**
 * What a rotation asks of the outside, by name. The key `rotation.step.target` makes a repeat the same act; `of` says
 * whose track it belongs to.
 */

function key(rotation: Rotation, step: string, target: string): string {
  return `${rotation.id}.${step}.${target}`
}

export function settle(rotation: Rotation, due: number): Effect {
  const of = rotation.successor?.generation ?? null
  return { key: key(rotation, 'timer', 'settled'), due, of, kind: 'timer', timer: { name: 'settled' } }
}

export function overdue(rotation: Rotation, now: number): Effect {
  const due = now + rotation.plan.overdueMs
  return { key: key(rotation, 'timer', 'overdue'), due, of: null, kind: 'timer', timer: { name: 'overdue' } }
}

export function lookAt(rotation: Rotation, of: number, about: string, due: number): Effect {
  return {
    key: key(rotation, 'timer', `${about}-g${of}`),
    due,
    of,
    kind: 'timer',
    timer: { name: 'look', about },
  }
}

/** A pause is over at `until`. Of its own key for each end, because a pause may be made longer. */
export function pauseOver(rotation: Rotation, until: number): Effect {
  const timer = { name: 'look', about: 'pause' } as const
  return { key: key(rotation, 'timer', `pause-${until}`), due: until, of: null, kind: 'timer', timer }
}

export function stage(rotation: Rotation, generation: number, store: string, due: number): Effect {
  return {
    key: key(rotation, 'stage', `${store}-g${generation}`),
    due,
    of: generation,
    kind: 'stage',
    store,
    generation,
  }
}

export function install(rotation: Rotation, generation: number, due: number): Effect {
  return { key: key(rotation, 'install', `g${generation}`), due, of: generation, kind: 'install', generation }
}

export function promote(rotation: Rotation, generation: number, store: string, due: number): Effect {
  const { base, retirements } = rotation
  const name = key(rotation, 'promote', `${store}-g${generation}`)
  // Also what was put back too late, onto a base that was contained meanwhile.
  const over = retirements
    .filter((r) => r.because === 'abandoned' || isDying(rotation, r.generation))
    .map((r) => r.generation)
  return { key: name, due, of: generation, kind: 'promote', store, generation, base, over }
}

export function restore(
  rotation: Rotation,
  generation: number,
  base: number,
  store: string,
  due: number,
): Effect {
  const name = key(rotation, 'restore', `${store}-g${generation}`)
  return { key: name, due, of: generation, kind: 'restore', store, generation, base }
}

export function withdraw(rotation: Rotation, generation: number, store: string, due: number): Effect {
  const name = key(rotation, 'withdraw', `${store}-g${generation}`)
  return { key: name, due, of: generation, kind: 'withdraw', store, generation }
}

/** With the epoch: what was reinstated after a rollback may be suspended again. */
export function suspend(rotation: Rotation, generation: number, due: number): Effect {
  return {
    key: key(rotation, 'suspend', `g${generation}-e${rotation.epoch}`),
    due,
    of: generation,
    kind: 'suspend',
    generation,
  }
}

/** It outlives the track that asked for it: a suspended base must come back. */
export function reinstate(rotation: Rotation, generation: number, due: number): Effect {
  const name = key(rotation, 'reinstate', `g${generation}-e${rotation.epoch}`)
  return { key: name, due, of: null, kind: 'reinstate', generation }
}

export function revoke(
  rotation: Rotation,
  generation: number,
  round: number,
  urgent: boolean,
  due: number,
): Effect {
  const name = key(rotation, 'revoke', `g${generation}-${round}`)
  return { key: name, due, of: generation, kind: 'revoke', generation, round, urgent }
}

export function destroyEverywhere(rotation: Rotation, generation: number, due: number): Effect[] {
  return rotation.plan.stores.map((store) => ({
    key: key(rotation, 'destroy', `${store}-g${generation}`),
    due,
    of: generation,
    kind: 'destroy',
    store,
    generation,
  }))
}

export function probe(
  rotation: Rotation,
  of: number,
  due: number,
  about: { purpose: 'baseline' | 'refusal'; generation: number; control: number | null; round: number },
): Effect {
  return {
    key: key(rotation, 'probe', `${about.purpose}-g${about.generation}`),
    due,
    of,
    kind: 'probe',
    ...about,
  }
}

export function drainLook(rotation: Rotation, generation: number, due: number): Effect {
  const timer = { name: 'drain-look', generation } as const
  return { key: key(rotation, 'timer', `drain-g${generation}`), due, of: generation, kind: 'timer', timer }
}

export function brakeLook(rotation: Rotation, due: number): Effect {
  return {
    key: key(rotation, 'timer', 'brake'),
    due,
    of: null,
    kind: 'timer',
    timer: { name: 'brake-look' },
  }
}

export function deliver(
  rotation: Rotation,
  of: number,
  revision: number,
  nodes: string[],
  due: number,
): Effect {
  return { key: key(rotation, 'deliver', `r${revision}`), due, of, kind: 'deliver', revision, nodes }
}

export function waveDeadline(rotation: Rotation, of: number, revision: number, now: number): Effect {
  const due = now + rotation.plan.waveDeadlineMs
  const timer = { name: 'wave-deadline', revision } as const
  return { key: key(rotation, 'timer', `deadline-r${revision}`), due, of, kind: 'timer', timer }
}
