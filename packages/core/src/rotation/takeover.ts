import { overdue, reinstate, restore, revoke, withdraw } from './asks.ts'
import type { Effect } from './effects.ts'
import type { RotationEvent } from './events.ts'
import { lift } from './holds.ts'
import type { Facts } from './inputs.ts'
import { everybody, type Move, startWave } from './rollout.ts'
import {
  isCompromised,
  isDying,
  isUp,
  modeFor,
  type Retirement,
  type Rotation,
  retirementOf,
  type Successor,
} from './state.ts'
import { followsAnother } from './to-come.ts'

/**
 * What an emergency does to a rotation under way: end what leaked (`contain`), give up a successor that leaked, plan
 * the next one. A routine rotation that is half-way never blocks it.
 */
export function takeOver(rotation: Rotation, facts: Facts): Move | undefined {
  return (
    bothLeaked(rotation) ??
    supersede(rotation, facts) ??
    contain(rotation, facts) ??
    planNext(rotation, facts)
  )
}

/** With nothing sound left to serve, there is nothing to keep serving with. */
function bothLeaked(rotation: Rotation): Move | undefined {
  const { base, successor, mode } = rotation
  if (mode === 'contain' || !successor || successor.step === 'abandoned') return undefined
  const baseLeaked = isCompromised(rotation, base) && !isDying(rotation, base)
  if (!baseLeaked || !isCompromised(rotation, successor.generation)) return undefined
  return {
    events: [{ type: 'ModeRaised', mode: 'contain', because: 'base and successor both leaked' }],
    effects: [],
  }
}

/** A successor that leaked is given up, while there is a way back or nobody has it yet. */
function supersede(rotation: Rotation, facts: Facts): Move | undefined {
  const { successor, mode, plan } = rotation
  if (!successor || successor.step === 'abandoned' || !isCompromised(rotation, successor.generation))
    return undefined
  if (successor.step === 'live' && !hasWayBack(rotation)) return undefined
  const isAdopted = plan.adopts === successor.generation
  // What somebody else put into the stores is taken over first: until then nobody could show that it is refused.
  if (isAdopted && (successor.step === 'planned' || successor.step === 'staging')) return undefined
  const isUsed = isAdopted || successor.promoteAsked.length > 0
  // The only value that clients have: it is served until the next one is up, unless it must be contained.
  if (!hasWayBack(rotation) && isUsed && mode !== 'contain') return undefined
  return abandon(rotation, { reason: 'it leaked', actor: 'rekey', superseded: true }, facts)
}

/** Clients and nodes can return to the base: it is there, did not leak, and its revocation has not started. */
export function hasWayBack(rotation: Rotation): boolean {
  const { base } = rotation
  return base !== null && !isCompromised(rotation, base) && !isDying(rotation, base)
}

/** Gives the successor up. Stores with a promotion intent are put back; its retirement does the rest. */
export function abandon(
  rotation: Rotation,
  why: { reason: string; actor: string; superseded: boolean },
  facts: Facts,
): Move {
  const { base, successor, plan } = rotation
  if (!successor) return { events: [], effects: [] }
  const { generation, promoteAsked, shown, installAsked, step } = successor
  const back = hasWayBack(rotation) ? base : null
  const baseRetirement = retirementOf(rotation, base)
  const dropped = baseRetirement && !isDying(rotation, base) ? [baseRetirement.generation] : []
  const suspended = dropped.length > 0 && baseRetirement?.step === 'suspending' ? base : null
  // Going back has a deadline of its own.
  const again: Effect[] = [overdue(rotation, facts.now)]
  if (suspended !== null) again.push(reinstate(rotation, suspended, facts.now))
  const events: RotationEvent[] = [
    ...rotation.holds.map((held) => lift(held, 'the successor is abandoned')),
    { type: 'SuccessorAbandoned', generation, ...why, dropped, reinstate: suspended },
  ]
  // Nothing outside knows of it.
  if (step === 'planned') return { events, effects: again }
  // What was to be taken over is in use, whoever was told of it; if it leaked, that has to end.
  const isUsed = shown || (why.superseded && plan.adopts === generation)
  const valid = plan.direction === 'inbound' ? isUsed : installAsked
  const toRestore = back === null ? [] : promoteAsked
  events.push({
    type: 'RetirementOpened',
    generation,
    because: 'abandoned',
    step: 'waiting',
    shown: isUsed,
    valid,
    back,
    restore: toRestore,
    exceptions: [],
    at: facts.now,
  })
  // Outbound, the nodes go back first: they must not boot an old value that they then do not present.
  const atOnce = plan.direction === 'inbound' || !shown
  const stores =
    atOnce && back !== null ? toRestore.map((s) => restore(rotation, generation, back, s, facts.now)) : []
  return { events, effects: [...again, ...stores] }
}

/** `contain`: every compromised generation that may still be used is revoked now. Who decided is in the journal. */
function contain(rotation: Rotation, facts: Facts): Move | undefined {
  const { base, mode, compromised } = rotation
  if (mode !== 'contain') return undefined
  const opened = retirementOf(rotation, base)
  if (base !== null && isCompromised(rotation, base) && !opened) {
    const event: RotationEvent = {
      type: 'RetirementOpened',
      generation: base,
      because: 'contained',
      step: 'waiting',
      shown: true,
      valid: true,
      back: null,
      restore: [],
      exceptions: withoutBaseline(rotation.successor),
      at: facts.now,
    }
    return { events: [event], effects: [] }
  }
  for (const generation of compromised) {
    const retirement = retirementOf(rotation, generation)
    if (retirement?.valid && !isDying(rotation, generation))
      return startRevocation(rotation, retirement, facts)
    const rollout = retirement?.step === 'revoking' ? retirement.rollout : null
    // Its revocation began wave by wave, before it was urgent: now everybody is told at once.
    if (rollout?.purpose === 'narrow' && rollout.wave + 1 < rollout.waves.length)
      return startWave(rotation, facts, { purpose: 'narrow', of: generation }, [everybody(facts)], 0)
  }
  return undefined
}

/** Whether the old value was accepted before was shown, or was not. */
export function withoutBaseline(successor: Successor | null): string[] {
  return successor?.baselineDone ? [] : ['no_positive_control']
}

/** The point of no return. */
export function startRevocation(rotation: Rotation, retirement: Retirement, facts: Facts): Move {
  const { plan, successor } = rotation
  const { generation } = retirement
  const mode = modeFor(rotation, generation)
  // What was cut at its cap has sessions left, which end with it as in an emergency.
  const urgent = mode !== 'rotate' || retirement.cut === true
  // In a routine rotation contrary effects have waited for older leases; an emergency does not wait, and comes again.
  const lateUntil = urgent ? facts.leasedUntil : 0
  const rounds = plan.direction === 'inbound' ? 0 : lateUntil > facts.now ? 2 : 1
  const atOnce = mode === 'contain' || retirement.because === 'offboarded'
  const shows = atOnce ? storesThatMayShow(rotation, generation) : []
  const revokes = Array.from({ length: rounds }, (_, round) =>
    revoke(rotation, generation, round, urgent, round === 0 ? facts.now : lateUntil),
  )
  const event: RotationEvent = {
    type: 'RevocationStarted',
    generation,
    mode,
    at: facts.now,
    lateUntil,
    revokes: rounds,
    withdraw: shows.filter(
      (store) => !(successor && isUp(successor) && successor.promoteAsked.includes(store)),
    ),
  }
  return {
    events: [event],
    effects: [...revokes, ...event.withdraw.map((store) => withdraw(rotation, generation, store, facts.now))],
  }
}

/** Stores whose readers may get this generation now. */
function storesThatMayShow({ base, successor, retirements, plan }: Rotation, generation: number): string[] {
  if (generation === base) return plan.stores
  const abandoned = retirements.find((r) => r.generation === generation)
  if (successor?.generation !== generation) return abandoned ? plan.stores : []
  // Those that are put back on the base need no withdrawal.
  return successor.promoteAsked.filter((store) => !abandoned?.restore.includes(store))
}

/** After a generation that leaked, another one comes in the same rotation. */
function planNext(rotation: Rotation, facts: Facts): Move | undefined {
  const { successor, base, goal } = rotation
  if (goal !== 'replace' || !successor) return undefined
  const generation = facts.nextGeneration
  if (successor.step === 'abandoned' && followsAnother(rotation))
    return { events: [{ type: 'SuccessorPlanned', generation, base }], effects: [] }
  if (successor.step === 'live' && isCompromised(rotation, successor.generation))
    return { events: [{ type: 'SuccessorPlanned', generation, base: successor.generation }], effects: [] }
  return undefined
}

/** Every store that may have shown it is put back, or will be moved on to what follows. */
export function isBack({ back, restore, restored }: Retirement): boolean {
  return back === null || restored.length >= restore.length
}
