import { isDying, type Retirement, type Rotation, retirementOf } from './state.ts'

/**
 * Generations that take up a slot of the authority, the successor aside. Inbound, a generation frees its slot with the
 * start of its revocation, because from then on no node is told to accept it, so none is told to accept three.
 * Outbound, when the authority has revoked it. What a provider made and nobody ever installed is ended when it is destroyed.
 */
export function occupying(rotation: Rotation): number[] {
  const { base, retirements, plan } = rotation
  const isThere = (r: Retirement) =>
    r.valid ? !freed(rotation, r) : plan.minted === true && r.step !== 'dead'
  const leaving = retirements.filter(isThere).map((r) => r.generation)
  const stays = base !== null && !retirementOf(rotation, base) ? [base] : []
  return [...new Set([...stays, ...leaving])]
}

function freed(rotation: Rotation, { generation, step, revokesDone }: Retirement): boolean {
  if (step === 'proving' || step === 'dead') return true
  return rotation.plan.direction === 'inbound' ? isDying(rotation, generation) : revokesDone > 0
}

/**
 * Nodes and stores are on their way back to a sound base. The next successor starts from there: its rollout would
 * otherwise overtake theirs.
 */
export function isGoingBack({ retirements, plan }: Rotation): boolean {
  return retirements.some(({ back, step, restore, restored }) => {
    if (back === null) return false
    const onTheWay = step === 'waiting' || (step === 'revoking' && plan.direction === 'outbound')
    return onTheWay || restored.length < restore.length
  })
}

/** Is there room for one more? Without it the successor waits, and nothing is minted. */
export function hasFreeSlot(rotation: Rotation): boolean {
  return occupying(rotation).length < rotation.plan.slots
}

/**
 * With one slot nothing can overlap: the one that lives waits for its successor, and that one for the slot. Only a
 * containment, which ends it first, gets a successor in.
 */
export function canNeverOverlap(rotation: Rotation): boolean {
  return rotation.plan.slots === 1 && occupying(rotation).some((generation) => !isDying(rotation, generation))
}
