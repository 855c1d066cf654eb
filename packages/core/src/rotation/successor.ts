import { probe, promote } from './asks.ts'
import type { Wave } from './events.ts'
import type { Facts } from './inputs.ts'
import { baselineEnded } from './probing.ts'
import { everybody, type Move, nextWave, startWave } from './rollout.ts'
import type { Rotation } from './state.ts'

export function successorMove(rotation: Rotation, facts: Facts): Move | undefined {
  const { plan, successor } = rotation
  const { generation } = successor
  switch (successor.step) {
    case 'staging':
      if (!plan.stores.every((store) => successor.staged.includes(store))) return undefined
      return { events: [{ type: 'RollingStarted', generation }], effects: [] }
    case 'rolling':
      return rolling(rotation, facts)
    case 'promoting': {
      const next = plan.stores.find((store) => !successor.promoted.includes(store))
      if (next === undefined) return { events: [{ type: 'ConfirmingStarted', generation }], effects: [] }
      return successor.promoteAsked.includes(next) ? undefined : askPromotion(rotation, next, facts)
    }
    case 'confirming':
      return confirming(rotation, facts)
    default:
      return undefined
  }
}

/** Nodes learn to accept both; nodes that joined meanwhile form one more wave, before any client is told. */
function rolling(rotation: Rotation, facts: Facts): Move | undefined {
  const { rollout, generation, waves } = rotation.successor
  if (!rollout) {
    if (waves.length > 0) return startWave(rotation, facts, widen(rotation, waves, 0))
  } else if (rollout.wave < rollout.waves.length) {
    return nextWave(rotation, rollout, facts, (index) => widen(rotation, rollout.waves, index))
  }
  const late = facts.members.filter((m) => !m.excused && !m.accepts.includes(generation)).map((m) => m.node)
  if (late.length > 0) {
    const all = [...(rollout?.waves ?? []), late.sort()]
    return startWave(rotation, facts, widen(rotation, all, all.length - 1))
  }
  const first = rotation.plan.stores[0]
  return first === undefined ? undefined : askPromotion(rotation, first, facts)
}

function widen(rotation: Rotation, waves: string[][], index: number): Wave {
  const { base, successor } = rotation
  return {
    track: 'successor',
    purpose: 'widen',
    waves,
    wave: index,
    nodes: waves[index] ?? [],
    revision: rotation.revision + 1,
    accept: base === null ? [successor.generation] : [base, successor.generation],
    refuse: [],
    floor: base ?? successor.generation,
  }
}

function askPromotion(rotation: Rotation, store: string, facts: Facts): Move {
  const { generation } = rotation.successor
  return {
    events: [{ type: 'PromotionAsked', generation, store }],
    effects: [promote(rotation, store, facts.now)],
  }
}

function confirming(rotation: Rotation, facts: Facts): Move | undefined {
  const { base, successor } = rotation
  const { generation, rollout } = successor
  if (!rollout) {
    const waves = [everybody(facts)]
    const started = startWave(rotation, facts, { ...widen(rotation, waves, 0), purpose: 'confirm' })
    if (base === null) return started
    return {
      events: started.events,
      effects: [
        ...started.effects,
        probe(rotation, facts.now, { purpose: 'baseline', generation: base, control: generation, round: 0 }),
      ],
    }
  }
  if (rollout.wave < rollout.waves.length) return nextWave(rotation, rollout, facts)
  if (base !== null && !baselineEnded(successor)) return undefined
  return { events: [{ type: 'SuccessorLive', generation }], effects: [] }
}
