import { brake } from './brake.ts'
import { gate, type Unmet } from './gate.ts'
import { isPaused } from './holds.ts'
import type { Facts } from './inputs.ts'
import { retirementMove } from './retirement.ts'
import type { Move } from './rollout.ts'
import type { Outcome, Rotation } from './state.ts'
import { successorMove } from './successor.ts'
import { takeOver } from './takeover.ts'
import { followsAnother } from './to-come.ts'

/** The next step that the present state allows by itself. Called again and again until it has nothing to say. */
export function progress(rotation: Rotation, facts: Facts): Move | undefined {
  if (rotation.outcome || isPaused(rotation)) return undefined
  return (
    takeOver(rotation, facts) ??
    brake(rotation, facts) ??
    (rotation.reinstate === null ? successorMove(rotation, facts) : undefined) ??
    (rotation.reinstate === null ? retirementMove(rotation, facts) : undefined) ??
    close(rotation)
  )
}

function close(rotation: Rotation): Move | undefined {
  const { retirements, reinstate } = rotation
  const outcome = ended(rotation)
  if (!outcome || reinstate !== null || !retirements.every((r) => r.step === 'dead')) return undefined
  const exceptions = retirements.flatMap((r) => r.exceptions)
  return { events: [{ type: 'RotationClosed', outcome, exceptions }], effects: [] }
}

function ended(rotation: Rotation): Outcome | undefined {
  const { goal, successor, retirements } = rotation
  if (goal === 'keep') return 'cancelled'
  if (goal === 'retire') return retirements.length > 0 ? 'closed' : undefined
  if (successor?.step === 'live') return 'closed'
  if (successor?.step !== 'abandoned' || followsAnother(rotation)) return undefined
  return retirements.length > 0 ? 'rolled-back' : 'cancelled'
}

/** Why a retirement does not go on, for people. */
export function unmet(rotation: Rotation, facts: Facts): Unmet[] {
  return rotation.retirements
    .filter((r) => r.step === 'draining' || r.step === 'suspending')
    .flatMap((r) => gate(rotation, r, facts))
}
