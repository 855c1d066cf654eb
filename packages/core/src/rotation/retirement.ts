import { destroyEverywhere, look, probe } from './asks.ts'
import type { RotationEvent, Wave } from './events.ts'
import { gate, undrained } from './gate.ts'
import type { Facts } from './inputs.ts'
import { everybody, type Move, nextWave, startWave } from './rollout.ts'
import type { Retirement, Rotation } from './state.ts'

export function retirementMove(rotation: Rotation, facts: Facts): Move | undefined {
  const { successor, retirements, base } = rotation
  if (successor.step === 'live' && base !== null && retirements.length === 0)
    return openRetirement(rotation, facts, base, successor.generation, 'replaced')
  if (successor.step === 'abandoned' && retirements.length === 0)
    return openRetirement(rotation, facts, successor.generation, base, 'abandoned')
  for (const retirement of retirements) {
    const move = retire(rotation, retirement, facts)
    if (move) return move
  }
  return undefined
}

function openRetirement(
  rotation: Rotation,
  facts: Facts,
  generation: number,
  control: number | null,
  because: Retirement['because'],
): Move {
  const { promoteAsked, baselineDone } = rotation.successor
  const shown = because === 'replaced' || rotation.successor.shown
  const restore = because === 'abandoned' && control !== null ? promoteAsked : []
  const noControl = because === 'replaced' && !baselineDone
  const exceptions = noControl ? ['no_positive_control'] : []
  return {
    events: [
      { type: 'RetirementOpened', generation, control, because, shown, restore, exceptions, at: facts.now },
    ],
    effects: [],
  }
}

function retire(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  switch (retirement.step) {
    case 'waiting':
      return waiting(rotation, retirement, facts)
    case 'draining':
      return draining(rotation, retirement, facts)
    case 'revoking':
      return revoking(rotation, retirement, facts)
    case 'proving':
      return proving(rotation, retirement, facts)
    case 'dead':
      return undefined
    default:
      return retirement.step satisfies never
  }
}

/** Stores back first, then every node confirms that it accepts what the clients come back to. */
function waiting(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation, control, shown, restore, restored, rollout } = retirement
  if (restored.length < restore.length) return undefined
  if (!shown) {
    const events: RotationEvent[] = [{ type: 'ProvingStarted', generation, at: facts.now }]
    return { events, effects: destroyEverywhere(rotation, generation, facts.now) }
  }
  if (restore.length > 0 && control !== null) {
    if (!rollout) {
      const back: Wave = {
        track: 'retirement',
        of: generation,
        purpose: 'confirm',
        waves: [everybody(facts)],
        wave: 0,
        nodes: everybody(facts),
        revision: rotation.revision + 1,
        accept: [control, generation],
        refuse: [],
        floor: control,
      }
      return startWave(rotation, facts, back)
    }
    if (rollout.wave < rollout.waves.length) return nextWave(rotation, rollout, facts)
  }
  return {
    events: [{ type: 'DrainingStarted', generation, at: facts.now }],
    effects: [look(rotation, generation, facts.now)],
  }
}

/** Drained → announce the intent → the audit topic acknowledges → the gate. The look timer asks again and again. */
function draining(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation } = retirement
  if (!retirement.announced) {
    if (undrained(rotation, retirement, facts).length > 0) return undefined
    const evidence = facts.members.map((m) => (m.excused ? `${m.node}: excused` : `${m.node}: unused`))
    return { events: [{ type: 'RevocationAnnounced', generation, evidence }], effects: [] }
  }
  if (gate(rotation, retirement, facts).length > 0) return undefined
  return { events: [{ type: 'RevocationStarted', generation, at: facts.now }], effects: [] }
}

/** The waves of the widening again, with who is here now: whoever joined later goes with the last one. */
function rewave(rotation: Rotation, facts: Facts): string[][] {
  const here = new Set(everybody(facts))
  const waves = rotation.successor.waves.map((nodes) => nodes.filter((node) => here.delete(node)))
  const last = waves.pop() ?? []
  return [...waves, [...last, ...here]].filter((nodes) => nodes.length > 0)
}

function revoking(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation, control, rollout } = retirement
  const narrow = (waves: string[][], index: number): Wave => ({
    track: 'retirement',
    of: generation,
    purpose: 'narrow',
    waves,
    wave: index,
    nodes: waves[index] ?? [],
    revision: rotation.revision + 1,
    accept: control === null ? [] : [control],
    refuse: [generation],
    floor: control ?? generation + 1,
  })
  if (!rollout) {
    const waves = rewave(rotation, facts)
    if (waves.length > 0) return startWave(rotation, facts, narrow(waves, 0))
  } else if (rollout.wave < rollout.waves.length) {
    return nextWave(rotation, rollout, facts, (index) => narrow(rollout.waves, index))
  }
  return {
    events: [{ type: 'ProvingStarted', generation, at: facts.now }],
    effects: [probe(rotation, facts.now, { purpose: 'refusal', generation, control, round: 0 })],
  }
}

function proving(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation, shown, refused, destroyed, exceptions } = retirement
  if ((shown && !refused) || destroyed.length < rotation.plan.stores.length) return undefined
  return { events: [{ type: 'GenerationDead', generation, exceptions, at: facts.now }], effects: [] }
}
