import { gate, type Unmet } from './gate.ts'
import type { Facts } from './inputs.ts'
import { retirementMove } from './retirement.ts'
import type { Move } from './rollout.ts'
import type { Rotation } from './state.ts'
import { successorMove } from './successor.ts'

/** The next step that the present state allows by itself. Called again and again until it has nothing to say. */
export function progress(rotation: Rotation, facts: Facts): Move | undefined {
  if (rotation.outcome) return undefined
  return successorMove(rotation, facts) ?? retirementMove(rotation, facts) ?? close(rotation)
}

function close(rotation: Rotation): Move | undefined {
  const { successor, retirements } = rotation
  const ended =
    successor.step === 'live' ? 'closed' : successor.step === 'abandoned' ? 'rolled-back' : undefined
  if (!ended || !retirements.every((r) => r.step === 'dead')) return undefined
  const exceptions = retirements.flatMap((r) => r.exceptions)
  return { events: [{ type: 'RotationClosed', outcome: ended, exceptions }], effects: [] }
}

/** Why a retirement does not go on, for people. */
export function unmet(rotation: Rotation, facts: Facts): Unmet[] {
  return rotation.retirements.filter((r) => r.step === 'draining').flatMap((r) => gate(rotation, r, facts))
}
