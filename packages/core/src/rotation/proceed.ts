import { evolveAll } from './evolve.ts'
import { liftSettled } from './holds.ts'
import type { Decision, Facts } from './inputs.ts'
import { progress } from './progress.ts'
import { type Rotation, rolloutsOf } from './state.ts'

/** More steps than any input can cause, beside waves that owe nothing: beyond it two rules undo each other. */
const MOST_MOVES = 100

/** Adds to a first answer everything that is possible after it, and lifts the holds whose cause is gone. */
export function proceed(state: Rotation, first: Decision, facts: Facts, doneEffect?: string): Decision {
  const events = [...first.events]
  const effects = [...first.effects]
  let rotation = state
  let moves = 0
  const most = () => MOST_MOVES + rolloutsOf(rotation).reduce((sum, { waves }) => sum + waves.length, 0)
  for (let move = progress(rotation, facts); move; move = progress(rotation, facts)) {
    if (++moves > most()) throw new Error(`rotation-0004: ${rotation.id} does not come to rest`)
    events.push(...move.events)
    effects.push(...move.effects)
    rotation = evolveAll(rotation, move.events) ?? rotation
  }
  events.push(...liftSettled(rotation, events, doneEffect))
  // What has ended asks for nothing any more.
  return { ...first, events, effects: rotation.outcome ? [] : effects }
}
