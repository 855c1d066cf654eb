import type { Rotation } from './state.ts'

/** What a node shall hold that was not there when the waves were frozen. */
export type JoinerState = { accept: number[]; refuse: number[]; floor: number }

/**
 * The desired state of a node that joins now. It must accept whatever a client may present from now on, and nothing
 * that is past the point of no return. `current` is the generation in use while no rotation is open.
 */
export function joinerState(rotation: Rotation | undefined, current: number | null): JoinerState {
  if (!rotation || rotation.outcome) return only(current)
  const { base, successor, retirements } = rotation
  const revoked = retirements.find((r) => r.step !== 'waiting' && r.step !== 'draining')
  if (revoked) return only(revoked.control)
  if (!successor.shown) return only(base)
  const { generation } = successor
  return base === null
    ? only(generation)
    : { accept: [base, generation], refuse: [], floor: Math.min(base, generation) }
}

function only(generation: number | null): JoinerState {
  return generation === null
    ? { accept: [], refuse: [], floor: 1 }
    : { accept: [generation], refuse: [], floor: generation }
}
