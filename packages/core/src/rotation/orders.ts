import { overdue, pauseOver, reinstate, waveDeadline } from './asks.ts'
import type { RotationEvent } from './events.ts'
import { find, lift, stops } from './holds.ts'
import type { Asked, Decision, Facts } from './inputs.ts'
import type { Move } from './rollout.ts'
import { type Hold, isCompromised, isDying, MODES, type Rotation, retirementOf } from './state.ts'
import { abandon } from './takeover.ts'

const NOTHING: Move = { events: [], effects: [] }

const refuse = (refusal: string): Decision => ({ ...NOTHING, refusal })

/** One more cause while a rotation is open: it joins, is left for a follow-up, or takes over. */
export function addCause(rotation: Rotation, asked: Asked): Decision {
  return asked.mode === 'rotate' ? addRoutine(rotation, asked) : addEmergency(rotation, asked)
}

function addRoutine({ successor, goal: ours, plan }: Rotation, { cause, goal }: Asked): Decision {
  // All causes before the value's intent are satisfied by this rotation, if it makes one.
  const isMade = successor?.step === 'planned' && plan.adopts !== successor.generation
  const joins = goal === ours && (goal === 'retire' || isMade)
  return {
    events: [joins ? { type: 'CauseJoined', cause } : { type: 'FollowUpNoted', cause, goal }],
    effects: [],
  }
}

/** It says what leaked; what it does about it is takeover.ts. An emergency never waits in a follow-up. */
function addEmergency(rotation: Rotation, { cause, mode, compromised }: Asked): Decision {
  const { base, successor, retirements, goal } = rotation
  const leaked = compromised.length > 0 ? compromised : inUse(rotation)
  if (leaked.length > 1 && compromised.length === 0)
    return refuse(`say which generation leaked: ${leaked.join(' and ')} are both in use`)
  const known = [base, successor?.generation ?? null, ...retirements.map((r) => r.generation)]
  const strange = leaked.filter((g) => !known.includes(g) || retirementOf(rotation, g)?.step === 'dead')
  if (strange.length > 0) return refuse(`generation ${strange.join(', ')} is not alive in this rotation`)
  if (goal === 'keep') return refuse('the offboarding is being called off; ask again when it has ended')
  const fresh = leaked.filter((g) => !isCompromised(rotation, g))
  const raised = MODES.indexOf(mode) > MODES.indexOf(rotation.mode)
  const events: RotationEvent[] = [{ type: 'CauseJoined', cause }]
  if (fresh.length > 0)
    events.push({
      type: 'GenerationsCompromised',
      generations: fresh,
      actor: cause.actor,
      reason: cause.reason,
    })
  if (raised) events.push({ type: 'ModeRaised', mode, because: cause.reason })
  // What waited for a human waits no more; what is late is judged by the new mode.
  events.push(...rotation.holds.filter(stops).map((h) => lift(h, `${mode} takes over`)))
  return { events, effects: [] }
}

/** Generations that clients may hold: which of them leaked is clear if there is one. */
function inUse(rotation: Rotation): number[] {
  const { base, successor, plan } = rotation
  const held = base === null || isDying(rotation, base) ? [] : [base]
  if (!successor || successor.step === 'abandoned') return held
  const isUsed = successor.promoteAsked.length > 0 || plan.adopts === successor.generation
  return isUsed ? [...held, successor.generation] : held
}

export function rollback(rotation: Rotation, reason: string, actor: string, facts: Facts): Decision {
  const { base, successor, retirements, goal, plan } = rotation
  if (goal !== 'replace') return callOff(rotation, reason, actor, facts)
  if (!successor || successor.step === 'abandoned') return refuse('it is being rolled back already')
  if (plan.adopts === successor.generation && successor.shown)
    return refuse('it takes over the value in use, and nodes have been told: giving that up would end it')
  if (retirements.some((r) => r.generation === base && isDying(rotation, base)))
    return refuse('the revocation of the old generation has started; there is no way back')
  if (isCompromised(rotation, base))
    return refuse(`generation ${base} leaked; there is no way back to it. Expedite or contain goes on`)
  if (base === null && retirements.length > 0)
    return refuse('what was there before is being ended; there is nothing to go back to')
  if (base === null && successor.promoteAsked.length > 0)
    return refuse('it is the first generation and readers may have it; there is none to go back to')
  return abandon(rotation, { reason, actor, superseded: false }, facts)
}

/** An offboarding ends where it started, as long as nothing was revoked. */
function callOff(rotation: Rotation, reason: string, actor: string, facts: Facts): Decision {
  const { base, retirements, goal } = rotation
  if (goal === 'keep' || base === null) return refuse('it is being called off already')
  if (isDying(rotation, base)) return refuse('the revocation has started; there is no way back')
  if (isCompromised(rotation, base))
    return refuse(`generation ${base} leaked, and must end; who still needs a value gets another credential`)
  const suspended = retirements.some((r) => r.generation === base && r.step === 'suspending') ? base : null
  const event: RotationEvent = {
    type: 'OffboardingCancelled',
    generation: base,
    reason,
    actor,
    reinstate: suspended,
  }
  return { events: [event], effects: suspended === null ? [] : [reinstate(rotation, suspended, facts.now)] }
}

/** A human wants a routine rotation to wait: until it is resumed, or for a while. */
export function holdByHuman(rotation: Rotation, order: HoldOrder, facts: Facts): Decision {
  if (rotation.mode !== 'rotate') return refuse(`it runs as ${rotation.mode}: an emergency is not held`)
  const before = find(rotation, 'human', rotation.id)
  if (before && before.until === undefined) return refuse('it is held already')
  const placed = humanHold(rotation, order, facts)
  return before
    ? { ...placed, events: [lift(before, `held anew by ${order.actor}`), ...placed.events] }
    : placed
}

export type HoldOrder = { actor: string; reason: string; until?: number }

export function humanHold(rotation: Rotation, { actor, reason, until }: HoldOrder, facts: Facts): Move {
  const hold: Hold = {
    reason: 'human',
    about: rotation.id,
    detail: `held by ${actor}: ${reason}`,
    at: facts.now,
  }
  if (until === undefined) return { events: [{ type: 'HoldPlaced', hold }], effects: [] }
  return { events: [{ type: 'HoldPlaced', hold: { ...hold, until } }], effects: [pauseOver(rotation, until)] }
}

/** A pause ends by itself. */
export function endPause(rotation: Rotation, facts: Facts): Move {
  const hold = find(rotation, 'human', rotation.id)
  const isOver = hold?.until !== undefined && hold.until <= facts.now
  return { events: isOver ? [lift(hold, 'the pause is over')] : [], effects: [] }
}

/**
 * A human has seen to it: what failed for good is tried again, and what was late gets its time once more. A hold whose
 * cause is still there comes back by itself.
 */
export function resume(rotation: Rotation, reason: string, actor: string, facts: Facts): Decision {
  if (rotation.holds.length === 0) return refuse('it is not held')
  const tracks = [rotation.successor, ...rotation.retirements].filter((t) => t !== null)
  const late = tracks.flatMap((track) => {
    const revision = track.rollout?.revision
    return revision !== undefined && find(rotation, 'wave_deadline', `r${revision}`)
      ? [waveDeadline(rotation, track.generation, revision, facts.now)]
      : []
  })
  return {
    events: rotation.holds.map((hold) => lift(hold, `resumed by ${actor}: ${reason}`)),
    effects: [...late, ...(find(rotation, 'overdue', rotation.id) ? [overdue(rotation, facts.now)] : [])],
    retryFailed: true,
  }
}
