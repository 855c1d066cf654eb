import type { Effect } from './effects.ts'
import type { Rotation } from './state.ts'

/** What a rotation asks of the outside, by name. The key `rotation.step.target` makes a repeat the same act. */

export function key(rotation: Rotation, step: string, target: string): string {
  return `${rotation.id}.${step}.${target}`
}

export function settle(rotation: Rotation, due: number): Effect {
  return { key: key(rotation, 'timer', 'settled'), due, kind: 'timer', timer: { name: 'settled' } }
}

export function overdue(rotation: Rotation, now: number): Effect {
  const due = now + rotation.plan.overdueMs
  return { key: key(rotation, 'timer', 'overdue'), due, kind: 'timer', timer: { name: 'overdue' } }
}

export function stage(rotation: Rotation, store: string, now: number): Effect {
  const { generation } = rotation.successor
  return { key: key(rotation, 'stage', store), due: now, kind: 'stage', store, generation }
}

export function promote(rotation: Rotation, store: string, due: number): Effect {
  const { base, successor } = rotation
  const { generation } = successor
  return { key: key(rotation, 'promote', store), due, kind: 'promote', store, generation, base }
}

export function restore(rotation: Rotation, store: string, base: number, now: number): Effect {
  const { generation } = rotation.successor
  return { key: key(rotation, 'restore', store), due: now, kind: 'restore', store, generation, base }
}

export function destroyEverywhere(rotation: Rotation, generation: number, due: number): Effect[] {
  return rotation.plan.stores.map((store) => ({
    key: key(rotation, 'destroy', `${store}-g${generation}`),
    due,
    kind: 'destroy',
    store,
    generation,
  }))
}

export function probe(
  rotation: Rotation,
  due: number,
  about: { purpose: 'baseline' | 'refusal'; generation: number; control: number | null; round: number },
): Effect {
  return {
    key: key(rotation, 'probe', `${about.purpose}-g${about.generation}`),
    due,
    kind: 'probe',
    ...about,
  }
}

export function look(rotation: Rotation, generation: number, due: number): Effect {
  return {
    key: key(rotation, 'timer', `drain-g${generation}`),
    due,
    kind: 'timer',
    timer: { name: 'drain-look', generation },
  }
}

export function deliver(rotation: Rotation, revision: number, nodes: string[], due: number): Effect {
  return { key: key(rotation, 'deliver', `r${revision}`), due, kind: 'deliver', revision, nodes }
}

export function waveDeadline(rotation: Rotation, revision: number, now: number): Effect {
  const due = now + rotation.plan.waveDeadlineMs
  return {
    key: key(rotation, 'timer', `deadline-r${revision}`),
    due,
    kind: 'timer',
    timer: { name: 'wave-deadline', revision },
  }
}
