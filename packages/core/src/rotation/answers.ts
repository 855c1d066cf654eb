import { restore, stage } from './asks.ts'
import type { RotationEvent } from './events.ts'
import type { Facts, Input } from './inputs.ts'
import { afterBaseline, afterRefusal } from './probing.ts'
import type { Move } from './rollout.ts'
import { type Rotation, retirementOf } from './state.ts'

const NOTHING: Move = { events: [], effects: [] }

const once = (event: RotationEvent): Move => ({ events: [event], effects: [] })

/** What a finished effect means. An answer that came before, or that nobody waits for, means nothing. */
export function effectDone(
  rotation: Rotation,
  input: Extract<Input, { type: 'EffectDone' }>,
  facts: Facts,
): Move {
  const { effect, result } = input
  const { successor, plan } = rotation
  const { now: at } = facts
  switch (effect.kind) {
    case 'stage': {
      const { store, generation } = effect
      const isNew = successor?.step === 'staging' && successor.generation === generation
      if (result.kind !== 'stage' || !isNew || successor.staged.includes(store)) return NOTHING
      const { storeVersion, keyId, proofKey } = result
      const next = plan.stores[plan.stores.indexOf(store) + 1]
      return {
        events: [{ type: 'ValueStaged', generation, store, storeVersion, keyId, proofKey }],
        effects: next === undefined ? [] : [stage(rotation, generation, next, at)],
      }
    }
    case 'install': {
      const { generation } = effect
      const isNew =
        successor?.step === 'staging' && successor.generation === generation && !successor.installed
      return isNew ? once({ type: 'ValueInstalled', generation }) : NOTHING
    }
    case 'promote': {
      const { store, generation } = effect
      const isNew = successor?.step === 'promoting' && successor.generation === generation
      if (result.kind !== 'promote' || !isNew || successor.promoted.includes(store)) return NOTHING
      return once({ type: 'StorePromoted', generation, store, storeVersion: result.storeVersion, at })
    }
    case 'restore': {
      const { store, generation } = effect
      const retirement = retirementOf(rotation, generation)
      if (result.kind !== 'restore' || !retirement || retirement.restored.includes(store)) return NOTHING
      // Release 0.1 asked for one store after the other. What was asked is the same act when it is asked again.
      const { back, restored } = retirement
      const rest = retirement.restore.filter((other) => other !== store && !restored.includes(other))
      return {
        events: [{ type: 'StoreRestored', generation, store, storeVersion: result.storeVersion, at }],
        effects: back === null ? [] : rest.map((other) => restore(rotation, generation, back, other, at)),
      }
    }
    case 'withdraw': {
      const { store, generation } = effect
      const retirement = retirementOf(rotation, generation)
      if (
        result.kind !== 'withdraw' ||
        !retirement?.withdraw.includes(store) ||
        retirement.withdrawn.includes(store)
      )
        return NOTHING
      return once({ type: 'StoreWithdrawn', generation, store, storeVersion: result.storeVersion, at })
    }
    case 'suspend': {
      const { generation } = effect
      const retirement = retirementOf(rotation, generation)
      return retirement?.step === 'suspending' && !retirement.suspended
        ? once({ type: 'Suspended', generation, at })
        : NOTHING
    }
    case 'reinstate':
      return rotation.reinstate === effect.generation
        ? once({ type: 'Reinstated', generation: effect.generation })
        : NOTHING
    case 'revoke': {
      const { generation, round } = effect
      const retirement = retirementOf(rotation, generation)
      const isAsked = retirement?.step === 'revoking' || retirement?.step === 'proving'
      return isAsked && retirement.revokesDone <= round
        ? once({ type: 'Revoked', generation, round })
        : NOTHING
    }
    case 'destroy': {
      const { store, generation } = effect
      const retirement = retirementOf(rotation, generation)
      return retirement?.step === 'proving' && !retirement.destroyed.includes(store)
        ? once({ type: 'StoreDestroyed', generation, store })
        : NOTHING
    }
    case 'probe':
      return result.kind === 'probe' ? probed(rotation, effect, result.results, facts) : NOTHING
    case 'deliver':
    case 'timer':
      return NOTHING
    default:
      return effect satisfies never
  }
}

type Probe = Extract<Extract<Input, { type: 'EffectDone' }>['effect'], { kind: 'probe' }>
type Results = Parameters<typeof afterBaseline>[2]

function probed(rotation: Rotation, effect: Probe, results: Results, facts: Facts): Move {
  const { successor } = rotation
  if (effect.purpose === 'baseline') {
    const isAsked = successor?.step === 'confirming' && successor.baselineRounds === effect.round
    return isAsked && !successor.baselineDone && effect.of === successor.generation
      ? afterBaseline(rotation, successor, results, facts.now)
      : NOTHING
  }
  const retirement = retirementOf(rotation, effect.generation)
  const isAsked =
    retirement?.step === 'proving' && retirement.probeRounds === effect.round && !retirement.refused
  return isAsked ? afterRefusal(rotation, retirement, results, facts) : NOTHING
}
