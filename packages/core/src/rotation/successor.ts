import { brakeLook, install, lookAt, probe, promote, stage } from './asks.ts'
import { isBraked } from './brake.ts'
import { refuseToDisturb } from './disruption.ts'
import { placeHold } from './holds.ts'
import type { Facts } from './inputs.ts'
import { baselineEnded } from './probing.ts'
import { everybody, isWatched, leavesLostBehind, type Move, nextWave, startWave } from './rollout.ts'
import { canNeverOverlap, hasFreeSlot, isGoingBack } from './slots.ts'
import { isDying, type Rotation, type Successor } from './state.ts'
import { inParts, planWaves } from './waves.ts'

const TRACK = 'successor'

export function successorMove(rotation: Rotation, facts: Facts): Move | undefined {
  const { successor } = rotation
  switch (successor?.step) {
    case 'planned':
      return planned(rotation, successor, facts)
    case 'staging':
      return staging(rotation, successor, facts)
    case 'rolling':
      return rolling(rotation, successor, facts)
    case 'promoting':
      return promoting(rotation, successor, facts)
    case 'confirming':
      return confirming(rotation, successor, facts)
    default:
      return undefined
  }
}

/** Waits for further causes, for its window and for a free slot; an emergency only for the slot. */
function planned(rotation: Rotation, { generation, settled }: Successor, facts: Facts): Move | undefined {
  if (rotation.mode === 'rotate' && !settled) return undefined
  if (canNeverOverlap(rotation)) {
    const detail = 'the authority holds one generation at a time: contain the old one, or roll back'
    const events = placeHold(rotation, { reason: 'no_slot', about: `g${generation}`, detail, at: facts.now })
    return events.length > 0 ? { events, effects: [] } : undefined
  }
  if (!hasFreeSlot(rotation) || isGoingBack(rotation)) return undefined
  const disturbed = refuseToDisturb(rotation, facts)
  if (disturbed) return disturbed
  const waves = wavesOf(rotation, facts)
  const [first] = rotation.plan.stores
  const effects = first === undefined ? [] : [stage(rotation, generation, first, facts.now)]
  const apart = soonestPromotion(rotation)
  if (apart > facts.now) effects.push(lookAt(rotation, generation, 'apart', apart))
  return { events: [{ type: 'StagingStarted', generation, waves }], effects }
}

/** Routine: as configured. Leaked: one canary and then everybody; to contain: everybody. */
function wavesOf({ mode, plan }: Rotation, { members }: Facts): string[][] {
  // An excused node is told as well: it is not waited for, that is all.
  if (mode === 'rotate') return planWaves(members, plan.waves, plan.maxInFlight)
  return planWaves(members, mode === 'expedite' ? [1, '100%'] : ['100%'])
}

/** Every store holds it; then, outbound, the authority accepts the value that was read back from one. */
function staging(rotation: Rotation, successor: Successor, facts: Facts): Move | undefined {
  const { generation, staged, installAsked, installed } = successor
  const { stores, direction } = rotation.plan
  if (!stores.every((store) => staged.includes(store))) return undefined
  if (direction === 'outbound' && !installAsked)
    return {
      events: [{ type: 'InstallAsked', generation }],
      effects: [install(rotation, generation, facts.now)],
    }
  if (direction === 'outbound' && !installed) return undefined
  const look = isBraked(rotation) ? [brakeLook(rotation, facts.now)] : []
  return { events: [{ type: 'RollingStarted', generation }], effects: look }
}

/** Nodes learn of it; who joined meanwhile forms one more wave, before any client is told. */
function rolling(rotation: Rotation, successor: Successor, facts: Facts): Move | undefined {
  const { rollout, generation, waves } = successor
  const track = { purpose: 'widen', of: TRACK } as const
  if (!rollout) {
    if (waves.length > 0) return startWave(rotation, facts, track, waves, 0)
  } else if (rollout.wave < rollout.waves.length) {
    return nextWave(rotation, rollout, facts, track)
  } else if (isWatched(rotation, rollout, facts)) {
    return undefined
  }
  const leave = leavesLostBehind(rotation, track)
  const told = rollout?.waves.flat() ?? []
  const late = facts.members
    .filter((m) => !m.accepts.includes(generation))
    .filter((m) => !told.includes(m.node) || !(m.excused || (leave && m.lost)))
    .map((m) => m.node)
  if (late.length > 0) {
    const before = rollout?.waves ?? []
    const most = rotation.mode === 'rotate' ? rotation.plan.maxInFlight : undefined
    return startWave(rotation, facts, track, [...before, ...inParts([late.sort()], most)], before.length)
  }
  if (soonestPromotion(rotation) > facts.now) return undefined
  return askPromotion(rotation, generation, facts)
}

/** Pair safety: readers that took the previous value must have let it go, or a third one would be in use. */
function soonestPromotion({ mode, movedAt, plan }: Rotation): number {
  return mode === 'rotate' && movedAt !== null ? movedAt + plan.readerCacheMs : 0
}

/** The next store that has not moved, one after the other; a withdrawal on the same store comes first. */
function askPromotion(rotation: Rotation, generation: number, facts: Facts): Move | undefined {
  const { plan, successor, retirements } = rotation
  const store = plan.stores.find((name) => !successor?.promoted.includes(name))
  if (store === undefined || successor?.promoteAsked.includes(store)) return undefined
  if (retirements.some((r) => r.withdraw.includes(store) && !r.withdrawn.includes(store))) return undefined
  return {
    events: [{ type: 'PromotionAsked', generation, store }],
    effects: [promote(rotation, generation, store, facts.now)],
  }
}

function promoting(rotation: Rotation, { generation, promoted }: Successor, facts: Facts): Move | undefined {
  if (rotation.plan.stores.every((store) => promoted.includes(store)))
    return { events: [{ type: 'ConfirmingStarted', generation }], effects: [] }
  return askPromotion(rotation, generation, facts)
}

function confirming(rotation: Rotation, successor: Successor, facts: Facts): Move | undefined {
  const { base } = rotation
  const { generation, rollout } = successor
  const track = { purpose: 'confirm', of: TRACK } as const
  const hasBaseline = base !== null && !isDying(rotation, base)
  if (!rollout) {
    const { events, effects } = startWave(rotation, facts, track, [everybody(facts)], 0)
    if (!hasBaseline) return { events, effects }
    const about = { purpose: 'baseline', generation: base, control: generation, round: 0 } as const
    return { events, effects: [...effects, probe(rotation, generation, facts.now, about)] }
  }
  if (rollout.wave < rollout.waves.length) return nextWave(rotation, rollout, facts, track)
  if (hasBaseline && !baselineEnded(successor)) return undefined
  return { events: [{ type: 'SuccessorLive', generation }], effects: [] }
}
