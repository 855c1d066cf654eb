import { look, overdue, restore, settle, stage, waveDeadline } from './asks.ts'
import type { Effect } from './effects.ts'
import type { ProbeSeen, RotationEvent } from './events.ts'
import { evolveAll } from './evolve.ts'
import { undrained } from './gate.ts'
import { find, lift, liftSettled, placeHold } from './holds.ts'
import type { Decision, Facts, Input } from './inputs.ts'
import { phaseOf } from './phase.ts'
import { afterBaseline, afterRefusal } from './probing.ts'
import { progress } from './progress.ts'
import { type Move, standing } from './rollout.ts'
import { type Cause, type Hold, type Plan, type Rotation, rolloutsOf } from './state.ts'
import { planWaves } from './waves.ts'

/** How soon to look at the drain again. */
const LOOK_AGAIN_MS = 500

const NOTHING: Move = { events: [], effects: [] }

/** What a new rotation starts from. */
export type Opening = {
  id: string
  credential: string
  cause: Cause
  plan: Plan
  base: number | null
  generation: number
  revision: number
}

/** Opens a rotation: it waits `settleMs` for further causes, then stages. */
export function open(opening: Opening, now: number): Decision & { rotation: Rotation } {
  const events: RotationEvent[] = [{ type: 'RotationOpened', mode: 'rotate', ...opening }]
  const rotation = evolveAll(undefined, events)
  if (!rotation) throw new Error('rotation-0002: an opened rotation has no state')
  return {
    rotation,
    events,
    effects: [settle(rotation, now + opening.plan.settleMs), overdue(rotation, now)],
  }
}

/** What now? Late and repeated input decides nothing. */
export function decide(rotation: Rotation, input: Input, facts: Facts): Decision {
  if (rotation.outcome) {
    return isOrder(input) ? { ...NOTHING, refusal: `the rotation has ended (${rotation.outcome})` } : NOTHING
  }
  const first = react(rotation, input, facts)
  const events = [...first.events]
  const effects = [...first.effects]
  let state = evolveAll(rotation, events) ?? rotation
  for (let move = progress(state, facts); move; move = progress(state, facts)) {
    events.push(...move.events)
    effects.push(...move.effects)
    state = evolveAll(state, move.events) ?? state
  }
  const done = input.type === 'EffectDone' ? input.effect.key : undefined
  events.push(...liftSettled(state, events, done))
  return { ...first, events, effects }
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
    case 'EffectStruggling':
      return hold(
        rotation,
        'effect_struggling',
        input.effect.key,
        `${input.code}, ${input.failures} times in a row: ${input.message}`,
        facts,
      )
    case 'WaveProved':
    case 'NodesChanged':
      return NOTHING
    case 'NodeNacked':
      return nodeNacked(rotation, input, facts)
    case 'AuditAcknowledged': {
      const waits = rotation.retirements.some(
        (r) => r.generation === input.generation && r.announced && !r.acknowledged,
      )
      if (!waits) return NOTHING
      return { events: [{ type: 'AuditAcknowledged', generation: input.generation }], effects: [] }
    }
    case 'CauseAdded':
      return {
        events: [
          rotation.successor.step === 'planned'
            ? { type: 'CauseJoined', cause: input.cause }
            : { type: 'FollowUpNoted', cause: input.cause },
        ],
        effects: [],
      }
    case 'RollbackAsked':
      return rollback(rotation, input.reason, input.actor, facts)
    case 'ResumeAsked':
      return resume(rotation, input.actor, facts)
    default:
      return input satisfies never
  }
}

function timerFired(
  rotation: Rotation,
  timer: Extract<Effect, { kind: 'timer' }>['timer'],
  facts: Facts,
): Decision {
  switch (timer.name) {
    case 'settled': {
      if (rotation.successor.step !== 'planned') return NOTHING
      const waves = planWaves(
        facts.members.filter((m) => !m.excused).map((m) => m.node),
        rotation.plan.waves,
      )
      const { generation } = rotation.successor
      const [first] = rotation.plan.stores
      const effects = first === undefined ? [] : [stage(rotation, first, facts.now)]
      return { events: [{ type: 'StagingStarted', generation, waves }], effects }
    }
    case 'overdue':
      return hold(
        rotation,
        'overdue',
        rotation.id,
        `still ${phaseOf(rotation)} after ${rotation.plan.overdueMs} ms`,
        facts,
      )
    case 'wave-deadline':
      return onWaveDeadline(rotation, timer.revision, facts)
    case 'drain-look': {
      const retirement = rotation.retirements.find((r) => r.generation === timer.generation)
      if (retirement?.step !== 'draining') return NOTHING
      const again = [look(rotation, timer.generation, facts.now + LOOK_AGAIN_MS)]
      const waitedMs = facts.now - retirement.since
      if (waitedMs <= rotation.plan.drainCapMs) return { events: [], effects: again }
      const why = undrained(rotation, retirement, facts).map((u) => u.message)
      const detail = why.length > 0 ? why.join('; ') : 'the audit topic or a node has not answered'
      const held = hold(
        rotation,
        'drain_cap',
        `g${timer.generation}`,
        `after ${waitedMs} ms: ${detail}`,
        facts,
      )
      return { events: held.events, effects: [...held.effects, ...again] }
    }
    default:
      return timer satisfies never
  }
}

function effectDone(
  rotation: Rotation,
  input: Extract<Input, { type: 'EffectDone' }>,
  facts: Facts,
): Decision {
  const { effect, result } = input
  const { successor, plan } = rotation
  switch (result.kind) {
    case 'stage': {
      if (effect.kind !== 'stage' || successor.step !== 'staging' || successor.staged.includes(effect.store))
        return NOTHING
      const next = plan.stores[plan.stores.indexOf(effect.store) + 1]
      const { store, generation } = effect
      const { storeVersion, keyId, proofKey } = result
      return {
        events: [{ type: 'ValueStaged', generation, store, storeVersion, keyId, proofKey }],
        effects: next === undefined ? [] : [stage(rotation, next, facts.now)],
      }
    }
    case 'promote': {
      if (
        effect.kind !== 'promote' ||
        successor.step !== 'promoting' ||
        successor.promoted.includes(effect.store)
      )
        return NOTHING
      const { store, generation } = effect
      return {
        events: [{ type: 'StorePromoted', generation, store, storeVersion: result.storeVersion }],
        effects: [],
      }
    }
    case 'restore': {
      if (effect.kind !== 'restore') return NOTHING
      const { store, generation } = effect
      const retirement = rotation.retirements.find((r) => r.generation === generation)
      if (retirement?.step !== 'waiting' || retirement.restored.includes(store)) return NOTHING
      const next = retirement.restore[retirement.restore.indexOf(store) + 1]
      return {
        events: [{ type: 'StoreRestored', generation, store, storeVersion: result.storeVersion }],
        effects: next === undefined ? [] : [restore(rotation, next, effect.base, facts.now)],
      }
    }
    case 'probe':
      return probed(rotation, effect, result.results, facts)
    case 'destroy': {
      if (effect.kind !== 'destroy') return NOTHING
      const { store, generation } = effect
      const retirement = rotation.retirements.find((r) => r.generation === generation)
      if (retirement?.step !== 'proving' || retirement.destroyed.includes(store)) return NOTHING
      return { events: [{ type: 'StoreDestroyed', generation, store }], effects: [] }
    }
    case 'deliver':
      // That the desired state was sent proves nothing: only acknowledgements move a wave.
      return NOTHING
    default:
      return result satisfies never
  }
}

function probed(rotation: Rotation, effect: Effect, results: ProbeSeen[], facts: Facts): Decision {
  if (effect.kind !== 'probe') return NOTHING
  if (effect.purpose === 'baseline') {
    const { step, baselineRounds } = rotation.successor
    const isNews = step === 'confirming' && effect.round === baselineRounds
    return isNews ? afterBaseline(rotation, results, facts.now) : NOTHING
  }
  const retirement = rotation.retirements.find((r) => r.generation === effect.generation)
  if (retirement?.step !== 'proving' || retirement.refused || effect.round !== retirement.probeRounds)
    return NOTHING
  return afterRefusal(rotation, retirement, results, facts.now)
}

/**
 * A node that tried the new value on its real path and saw it refused ends the attempt while nothing has moved.
 * Other failures may pass: the node goes on trying until the wave's deadline.
 */
function nodeNacked(
  rotation: Rotation,
  input: Extract<Input, { type: 'NodeNacked' }>,
  facts: Facts,
): Decision {
  const rollout = rolloutsOf(rotation).find((r) => r.revision === input.revision)
  const wave = rollout?.waves[rollout.wave]
  if (!rollout || !wave?.includes(input.node)) return NOTHING
  const { node, reason, detail, revision, generation } = input
  if (rollout.nacks.some((n) => n.node === node && n.reason === reason)) return NOTHING
  const noted: RotationEvent = { type: 'NodeNacked', node, reason, detail, revision, generation }
  const hopeless = reason === 'value_refused' || reason === 'below_floor' || reason === 'not_configured'
  if (!hopeless || rotation.successor.step !== 'rolling') return { events: [noted], effects: [] }
  const back = abandon(
    rotation,
    `${node} cannot take generation ${rotation.successor.generation}: ${reason}`,
    'rekey',
    facts,
  )
  return { events: [noted, ...back.events], effects: back.effects }
}

function onWaveDeadline(rotation: Rotation, revision: number, facts: Facts): Decision {
  const rollout = rolloutsOf(rotation).find((r) => r.revision === revision)
  const wave = rollout?.waves[rollout.wave]
  if (!rollout || !wave) return NOTHING
  const { missing } = standing(wave, rollout, facts.members)
  if (missing.length === 0) return NOTHING
  const said = rollout.nacks.filter((n) => missing.includes(n.node))
  const why =
    said.length > 0
      ? said.map((n) => `${n.node}: ${n.reason}`).join('; ')
      : `no answer from ${missing.join(', ')}`
  // A node that said no before anything moved: going back costs nothing. Silence proves nothing either way: hold.
  if (said.length > 0 && rotation.successor.step === 'rolling') return abandon(rotation, why, 'rekey', facts)
  return hold(
    rotation,
    'wave_deadline',
    `r${revision}`,
    `${rollout.purpose} wave ${rollout.wave + 1}: ${why}`,
    facts,
  )
}

function rollback(rotation: Rotation, reason: string, actor: string, facts: Facts): Decision {
  if (rotation.successor.step === 'abandoned')
    return { ...NOTHING, refusal: 'it is being rolled back already' }
  const revoking = rotation.retirements.some((r) => r.step !== 'waiting' && r.step !== 'draining')
  if (revoking)
    return { ...NOTHING, refusal: 'the revocation of the old generation has started; there is no way back' }
  if (rotation.base === null && rotation.successor.promoteAsked.length > 0)
    return {
      ...NOTHING,
      refusal: 'it is the first generation and readers may have it; there is none to go back to',
    }
  return abandon(rotation, reason, actor, facts)
}

/** Gives the successor up. Stores with a promotion intent are put back first; its retirement does the rest. */
function abandon(rotation: Rotation, reason: string, actor: string, facts: Facts): Decision {
  const { generation, promoteAsked } = rotation.successor
  const [first] = promoteAsked
  const effects =
    first !== undefined && rotation.base !== null ? [restore(rotation, first, rotation.base, facts.now)] : []
  return {
    events: [
      ...rotation.holds.map((held) => lift(held, 'the successor is abandoned')),
      { type: 'SuccessorAbandoned', generation, reason, actor },
    ],
    // The plan's effects are cancelled, its deadline too: going back has its own.
    effects: [...effects, overdue(rotation, facts.now)],
  }
}

/**
 * A human has seen to it: what failed for good is tried again, and what was late gets its time once more. A hold whose
 * cause is still there comes back by itself.
 */
function resume(rotation: Rotation, actor: string, facts: Facts): Decision {
  if (rotation.holds.length === 0) return { ...NOTHING, refusal: 'it is not held' }
  const waves = rolloutsOf(rotation).filter((r) => find(rotation, 'wave_deadline', `r${r.revision}`))
  return {
    events: rotation.holds.map((hold) => lift(hold, `resumed by ${actor}`)),
    effects: [
      ...waves.map((r) => waveDeadline(rotation, r.revision, facts.now)),
      ...(find(rotation, 'overdue', rotation.id) ? [overdue(rotation, facts.now)] : []),
    ],
    retryFailed: true,
  }
}

function hold(
  rotation: Rotation,
  reason: Hold['reason'],
  about: string,
  detail: string,
  facts: Facts,
): Decision {
  return { events: placeHold(rotation, { reason, about, detail, at: facts.now }), effects: [] }
}

function isOrder(input: Input): boolean {
  return input.type === 'RollbackAsked' || input.type === 'ResumeAsked'
}
