import { overdue, settle } from './asks.ts'
import type { RotationEvent } from './events.ts'
import { evolveAll } from './evolve.ts'
import type { Asked, Decision, Facts } from './inputs.ts'
import { type HoldOrder, humanHold } from './orders.ts'
import { proceed } from './proceed.ts'
import type { Plan, Rotation } from './state.ts'
import { nextOpening } from './windows.ts'

/** What a new rotation starts from. */
export type Opening = Asked & {
  id: string
  credential: string
  plan: Plan
  base: number | null
  revision: number
  /** When the stores last moved; null: not known. */
  movedAt: number | null
  /** Drawn once, by the caller: how long after its window's opening a routine rotation starts. */
  jitterMs: number
  /** The authority ended the base before we could. */
  alreadyDead: boolean
  /** Nothing routine goes on before `until`. */
  paused?: HoldOrder
}

/** Opens a rotation. A routine one waits `settleMs` for further causes, and for its window. */
export function open(opening: Opening, facts: Facts): Decision & { rotation: Rotation } {
  const { id, credential, plan, base, revision, movedAt, cause, mode, goal, compromised, alreadyDead } =
    opening
  const generation = goal === 'replace' ? facts.nextGeneration : null
  // An emergency is about what is in use, unless it says otherwise.
  const leaked = mode !== 'rotate' && compromised.length === 0 && base !== null ? [base] : compromised
  const first: RotationEvent = {
    type: 'RotationOpened',
    id,
    credential,
    goal,
    mode,
    compromised: leaked,
    cause,
    plan,
    base,
    generation,
    revision,
    movedAt,
  }
  const events: RotationEvent[] = [first]
  if (alreadyDead && base !== null) events.push(foundDead(base, facts))
  const rotation = evolveAll(undefined, events)
  if (!rotation) throw new Error('rotation-0002: an opened rotation has no state')
  const effects = [overdue(rotation, facts.now)]
  if (mode === 'rotate' && goal === 'replace')
    effects.push(settle(rotation, nextOpening(plan.windows, facts.now + plan.settleMs) + opening.jitterMs))
  const pause = opening.paused && mode === 'rotate' ? humanHold(rotation, opening.paused, facts) : undefined
  if (pause) events.push(...pause.events)
  const state = pause ? (evolveAll(rotation, pause.events) ?? rotation) : rotation
  const decision = proceed(state, { events, effects: [...effects, ...(pause?.effects ?? [])] }, facts)
  return { ...decision, rotation: evolveAll(undefined, decision.events) ?? rotation }
}

/** There is nothing to revoke and no way to show that it ever worked: only that it is refused now. */
function foundDead(generation: number, facts: Facts): RotationEvent {
  return {
    type: 'RetirementOpened',
    generation,
    because: 'already-dead',
    step: 'proving',
    shown: true,
    valid: true,
    back: null,
    restore: [],
    exceptions: ['no_positive_control'],
    at: facts.now,
  }
}
