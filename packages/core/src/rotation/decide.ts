import { effectDone } from './answers.ts'
import { drainLook, waveDeadline } from './asks.ts'
import { lookAtAnswers } from './brake.ts'
import type { Timer } from './effects.ts'
import type { RotationEvent } from './events.ts'
import { evolveAll } from './evolve.ts'
import { undrained } from './gate.ts'
import { isPaused, placeHold } from './holds.ts'
import type { Decision, Facts, Input } from './inputs.ts'
import { addCause, endPause, holdByHuman, resume, rollback } from './orders.ts'
import { phaseOf } from './phase.ts'
import { proceed } from './proceed.ts'
import { nextLook } from './retirement.ts'
import { type Move, standing } from './rollout.ts'
import { type Hold, modeFor, type Rotation, retirementOf, rolloutsOf } from './state.ts'
import { abandon, hasWayBack } from './takeover.ts'

const NOTHING: Move = { events: [], effects: [] }

/** What now? Late and repeated input decides nothing. */
export function decide(rotation: Rotation, input: Input, facts: Facts): Decision {
  if (rotation.outcome) {
    const isOrder =
      input.type === 'RollbackAsked' || input.type === 'ResumeAsked' || input.type === 'HoldAsked'
    return isOrder ? { ...NOTHING, refusal: `the rotation has ended (${rotation.outcome})` } : NOTHING
  }
  const first = react(rotation, input, facts)
  const state = evolveAll(rotation, first.events) ?? rotation
  return proceed(state, first, facts, input.type === 'EffectDone' ? input.effect.key : undefined)
}

/** The direct answer to one input; `progress` does the rest. */
function react(rotation: Rotation, input: Input, facts: Facts): Decision {
  switch (input.type) {
    case 'TimerFired':
      return timerFired(rotation, input.timer, facts)
    case 'EffectDone':
      return effectDone(rotation, input, facts)
    case 'EffectFailed':
      return hold(rotation, 'effect_failed', input.effect.key, `${input.code}: ${input.message}`, facts)
    case 'EffectStruggling': {
      const { effect, code, failures, message } = input
      return hold(
        rotation,
        'effect_struggling',
        effect.key,
        `${code}, ${failures} times in a row: ${message}`,
        facts,
      )
    }
    case 'WaveProved':
    case 'NodesChanged':
      return NOTHING
    case 'NodeNacked':
      return nodeNacked(rotation, input, facts)
    case 'AuditAcknowledged': {
      const retirement = retirementOf(rotation, input.generation)
      if (!retirement?.announced || retirement.acknowledged) return NOTHING
      if ((input.epoch ?? retirement.announcement) !== retirement.announcement) return NOTHING
      return { events: [{ type: 'AuditAcknowledged', generation: input.generation }], effects: [] }
    }
    case 'CauseAdded':
      return addCause(rotation, input)
    case 'RollbackAsked':
      return rollback(rotation, input.reason, input.actor, facts)
    case 'HoldAsked':
      return holdByHuman(rotation, input, facts)
    case 'ResumeAsked':
      return resume(rotation, input.reason, input.actor, facts)
    default:
      return input satisfies never
  }
}

function timerFired(rotation: Rotation, timer: Timer, facts: Facts): Move {
  switch (timer.name) {
    case 'settled': {
      const { successor } = rotation
      if (successor?.step !== 'planned' || successor.settled) return NOTHING
      return { events: [{ type: 'Settled', generation: successor.generation }], effects: [] }
    }
    case 'look':
      return endPause(rotation, facts)
    case 'overdue': {
      const detail = `still ${phaseOf(rotation)} after ${rotation.plan.overdueMs} ms`
      return hold(rotation, 'overdue', rotation.id, detail, facts)
    }
    case 'wave-deadline':
      return waveDeadlinePassed(rotation, timer.revision, facts)
    case 'drain-look':
      return lookAtDrain(rotation, timer.generation, facts)
    case 'brake-look':
      return lookAtAnswers(rotation, facts)
    default:
      return timer satisfies never
  }
}

/** Looks again and again while it drains; past the cap a human is told. */
function lookAtDrain(rotation: Rotation, generation: number, facts: Facts): Move {
  const retirement = retirementOf(rotation, generation)
  if (retirement?.step !== 'draining' && retirement?.step !== 'suspending') return NOTHING
  const effects = [drainLook(rotation, generation, nextLook(rotation, retirement, facts.now))]
  const waitedMs = facts.now - retirement.since
  const { atDrainCap, drainCapMs, expediteDrainMs, waveDeadlineMs } = rotation.plan
  const isRoutine = modeFor(rotation, generation) === 'rotate'
  const isCutAt = isRoutine ? drainCapMs : expediteDrainMs
  // What was to be cut long ago waits for a proof.
  const capMs = isRoutine && atDrainCap !== 'cut' ? drainCapMs : isCutAt + waveDeadlineMs
  if (waitedMs <= capMs) return { events: [], effects }
  const why = undrained(rotation, retirement, facts).map((u) => u.message)
  const detail = why.length > 0 ? why.join('; ') : 'the audit topic or a node has not answered'
  return {
    events: hold(rotation, 'drain_cap', `g${generation}`, `after ${waitedMs} ms: ${detail}`, facts).events,
    effects,
  }
}

/** It will not be otherwise at the next try: not for a store or a gateway that is away. */
export const endsAnAttempt = (reason: string): boolean =>
  reason === 'value_refused' || reason === 'below_floor' || reason === 'not_configured'

function nodeNacked(rotation: Rotation, input: Extract<Input, { type: 'NodeNacked' }>, facts: Facts): Move {
  const rollout = rolloutsOf(rotation).find((r) => r.revision === input.revision)
  const wave = rollout?.waves[rollout.wave]
  if (!rollout || !wave?.includes(input.node)) return NOTHING
  const { node, reason, detail, revision, generation } = input
  if (rollout.nacks.some((n) => n.node === node && n.reason === reason)) return NOTHING
  const noted: RotationEvent = { type: 'NodeNacked', node, reason, detail, revision, generation }
  // What a human stopped is not turned round by a node either: the deadline of the wave comes back to it.
  if (!endsAnAttempt(reason) || !mayGiveUp(rotation) || isPaused(rotation))
    return { events: [noted], effects: [] }
  const why = `${node} cannot take generation ${rotation.successor?.generation}: ${reason}`
  const back = abandon(rotation, { reason: why, actor: 'rekey', superseded: false }, facts)
  return { events: [noted, ...back.events], effects: back.effects }
}

/** Before anything moved going back costs nothing, if there is something sound to go back to, or nothing to lose. */
function mayGiveUp(rotation: Rotation): boolean {
  const { base, successor, retirements, plan } = rotation
  // Giving up what is in use already would lose it.
  const isFirst = base === null && retirements.length === 0 && plan.adopts === undefined
  return successor?.step === 'rolling' && (isFirst || hasWayBack(rotation))
}

function waveDeadlinePassed(rotation: Rotation, revision: number, facts: Facts): Move {
  const rollout = rolloutsOf(rotation).find((r) => r.revision === revision)
  if (!rollout?.waves[rollout.wave] || rollout.watchedUntil !== undefined) return NOTHING
  const { missing } = standing(rotation, rollout, facts.members)
  if (missing.length === 0) return NOTHING
  // Of many that said the same, only some are in the journal.
  const of = new Map(facts.members.map(({ node, nack }) => [node, nack]))
  const said = missing.flatMap((node) => {
    const reason = rollout.nacks.find((n) => n.node === node)?.reason ?? of.get(node)
    return reason === undefined ? [] : [{ node, reason }]
  })
  const why =
    said.length > 0
      ? said.map((n) => `${n.node}: ${n.reason}`).join('; ')
      : `no answer from ${missing.join(', ')}`
  // A node that said no: going back is cheap. Silence proves nothing either way: hold.
  const { successor } = rotation
  if (successor && said.length > 0 && mayGiveUp(rotation) && rollout.purpose === 'widen') {
    if (isPaused(rotation))
      return { events: [], effects: [waveDeadline(rotation, successor.generation, revision, facts.now)] }
    return abandon(rotation, { reason: why, actor: 'rekey', superseded: false }, facts)
  }
  return hold(
    rotation,
    'wave_deadline',
    `r${revision}`,
    `${rollout.purpose} wave ${rollout.wave + 1}: ${why}`,
    facts,
  )
}

function hold(rotation: Rotation, reason: Hold['reason'], about: string, detail: string, facts: Facts): Move {
  return { events: placeHold(rotation, { reason, about, detail, at: facts.now }), effects: [] }
}
