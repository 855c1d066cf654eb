import { isDying, isUp, type Rotation } from './state.ts'
import { isToCome } from './to-come.ts'

/** What a node shall hold. Outbound, `accept` is the one generation to present. */
export type Desired = { accept: number[]; refuse: number[]; floor: number }

/**
 * The desired state of a node that is told now: a wave's, a joiner's, a restarted one's. It accepts whatever a client
 * may present from now on, and nothing that is past the point of no return. `current` is the generation in use while
 * no rotation is open.
 */
export function desired(rotation: Rotation | undefined, current: number | null): Desired {
  if (!rotation || rotation.outcome) return { accept: listed(current), refuse: [], floor: current ?? 1 }
  const refuse = rotation.retirements
    .filter((r) => r.valid && (r.step === 'revoking' || r.step === 'proving'))
    .map((r) => r.generation)
  const accept = rotation.plan.direction === 'inbound' ? accepted(rotation) : presented(rotation)
  return { accept, refuse: ascending(refuse), floor: floorOf(rotation, accept) }
}

/** Inbound: nodes accept everything that a client may hold. Never more than two: see takeover.ts on slots. */
function accepted(rotation: Rotation): number[] {
  const { base, successor, retirements } = rotation
  const leaving = retirements.filter((r) => r.shown).map((r) => r.generation)
  const coming = successor && isUp(successor) ? [successor.generation] : []
  const all = [...listed(base), ...coming, ...leaving]
  return ascending(all.filter((g) => !isDying(rotation, g)))
}

/**
 * Outbound: a node presents the successor from its wave on, else the base, else what lives until the next one is up. A base
 * that may be suspended comes last: what was abandoned works until the authority has reinstated it.
 */
function presented(rotation: Rotation): number[] {
  const { base, successor, retirements, reinstate } = rotation
  const up = successor && isUp(successor) ? [successor.generation] : []
  const shown = retirements.filter((r) => r.shown).map((r) => r.generation)
  const order =
    reinstate === null
      ? [...up, ...listed(base), ...(isToCome(rotation) ? shown : [])]
      : [...up, ...shown, ...listed(base)]
  const [present = null] = order.filter((g) => !isDying(rotation, g))
  return listed(present)
}

/** Below it nothing becomes ready: the least that is accepted, or one above all that dies. */
function floorOf({ retirements }: Rotation, accept: number[]): number {
  if (accept.length > 0) return Math.min(...accept)
  return Math.max(0, ...retirements.map((r) => r.generation)) + 1
}

function listed(generation: number | null): number[] {
  return generation === null ? [] : [generation]
}

function ascending(generations: number[]): number[] {
  return [...new Set(generations)].sort((a, b) => a - b)
}
