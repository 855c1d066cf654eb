import type { Effect } from './effects.ts'
import type { ProbeSeen, RotationEvent, Wave } from './events.ts'
import { gate, type Unmet, undrained } from './gate.ts'
import type { Facts, Member } from './inputs.ts'
import type { Retirement, Rollout, Rotation } from './state.ts'

/** One move, or undefined: nothing can move until something else happens. */
export type Move = { events: RotationEvent[]; effects: Effect[] }

/** How long to wait before probing again, by round: the refusal lag of a gateway is short, a hold is not helped by haste. */
const PROBE_AGAIN_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000]
/** A baseline that cannot be shown in this many rounds becomes an exception of the outcome. */
const BASELINE_ROUNDS = 3
/** From this round on, a human is told that the old value is not refused. */
const REFUSAL_ROUNDS = 5

/** The next step that the present state allows by itself. Called again and again until it has nothing to say. */
export function progress(rotation: Rotation, facts: Facts): Move | undefined {
  if (rotation.outcome) return undefined
  return successorMove(rotation, facts) ?? retirementMove(rotation, facts) ?? close(rotation)
}

function successorMove(rotation: Rotation, facts: Facts): Move | undefined {
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
      return successor.promoteAsked.includes(next) ? undefined : promote(rotation, next, facts)
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
    if (waves.length > 0) return wave(rotation, facts, widen(rotation, waves, 0))
  } else if (rollout.wave < rollout.waves.length) {
    return nextWave(rotation, rollout, facts, (index) => widen(rotation, rollout.waves, index))
  }
  const late = facts.members.filter((m) => !m.excused && !m.accepts.includes(generation)).map((m) => m.node)
  if (late.length > 0) {
    const all = [...(rollout?.waves ?? []), late.sort()]
    return wave(rotation, facts, widen(rotation, all, all.length - 1))
  }
  const first = rotation.plan.stores[0]
  return first === undefined ? undefined : promote(rotation, first, facts)
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

function confirming(rotation: Rotation, facts: Facts): Move | undefined {
  const { base, successor } = rotation
  const { generation, rollout } = successor
  if (!rollout) {
    const waves = [everybody(facts)]
    const started = wave(rotation, facts, { ...widen(rotation, waves, 0), purpose: 'confirm' })
    if (base === null) return started
    return {
      events: started.events,
      effects: [...started.effects, probe(rotation, facts.now, 'baseline', base, generation)],
    }
  }
  if (rollout.wave < rollout.waves.length) return nextWave(rotation, rollout, facts)
  if (base !== null && !successor.baselineDone) return undefined
  return { events: [{ type: 'SuccessorLive', generation }], effects: [] }
}

function retirementMove(rotation: Rotation, facts: Facts): Move | undefined {
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
  const { promoteAsked, baselineRounds, baselineDone } = rotation.successor
  const shown = because === 'replaced' || rotation.successor.shown
  const restore = because === 'abandoned' && control !== null ? promoteAsked : []
  const noControl = because === 'replaced' && baselineRounds >= BASELINE_ROUNDS && !baselineDone
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
      return wave(rotation, facts, back)
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
    if (waves.length > 0) return wave(rotation, facts, narrow(waves, 0))
  } else if (rollout.wave < rollout.waves.length) {
    return nextWave(rotation, rollout, facts, (index) => narrow(rollout.waves, index))
  }
  return {
    events: [{ type: 'ProvingStarted', generation, at: facts.now }],
    effects: [probe(rotation, facts.now, 'refusal', generation, control)],
  }
}

function proving(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation, shown, refused, destroyed, exceptions } = retirement
  if ((shown && !refused) || destroyed.length < rotation.plan.stores.length) return undefined
  return { events: [{ type: 'GenerationDead', generation, exceptions, at: facts.now }], effects: [] }
}

function close(rotation: Rotation): Move | undefined {
  const { successor, retirements } = rotation
  const ended =
    successor.step === 'live' ? 'closed' : successor.step === 'abandoned' ? 'rolled-back' : undefined
  if (!ended || !retirements.every((r) => r.step === 'dead')) return undefined
  const exceptions = retirements.flatMap((r) => r.exceptions)
  return { events: [{ type: 'RotationClosed', outcome: ended, exceptions }], effects: [] }
}

/* What probes say. ------------------------------------------------------------------------------------------------ */

/** The next act after a baseline probe: the old value must be seen accepted, or the outcome will say that it was not. */
export function afterBaseline(rotation: Rotation, results: ProbeSeen[], now: number): Move {
  const { base, successor } = rotation
  const shown = results.length > 0 && results.every((r) => r.verdict === 'accepted')
  const last = successor.baselineRounds + 1 >= BASELINE_ROUNDS
  const { generation } = successor
  const again = !shown && !last && base !== null
  return {
    events: [{ type: 'BaselineProbed', generation, results, conclusive: shown }],
    effects: again
      ? [probe(rotation, now + probeDelay(successor.baselineRounds), 'baseline', base, generation)]
      : [],
  }
}

/** Dead means refused with a listed code at every endpoint while the control was accepted in the same window. */
export function afterRefusal(
  rotation: Rotation,
  retirement: Retirement,
  results: ProbeSeen[],
  now: number,
): Move {
  const { generation, control, probeRounds } = retirement
  const conclusive =
    results.length > 0 &&
    results.every((r) => r.verdict === 'refused' && (control === null || r.control === 'accepted'))
  const events: RotationEvent[] = [{ type: 'RefusalProbed', generation, results, conclusive }]
  if (conclusive) return { events, effects: destroyEverywhere(rotation, generation, now) }
  if (probeRounds + 1 === REFUSAL_ROUNDS) {
    const worst =
      results.find((r) => r.verdict !== 'refused') ?? results.find((r) => r.control !== 'accepted')
    const detail = worst
      ? `${worst.endpoint}: old ${worst.verdict} (${worst.seen}), control ${worst.control}`
      : 'no endpoint'
    events.push({ type: 'HoldPlaced', hold: { reason: 'not_refused', detail, at: now } })
  }
  return { events, effects: [probe(rotation, now + probeDelay(probeRounds), 'refusal', generation, control)] }
}

function probeDelay(round: number): number {
  return PROBE_AGAIN_MS[Math.min(round, PROBE_AGAIN_MS.length - 1)] ?? 0
}

/* Building blocks. ------------------------------------------------------------------------------------------------ */

function key(rotation: Rotation, step: string, target: string): string {
  return `${rotation.id}.${step}.${target}`
}

export function stage(rotation: Rotation, store: string, now: number): Effect {
  const { generation } = rotation.successor
  return { key: key(rotation, 'stage', store), due: now, kind: 'stage', store, generation }
}

function promote(rotation: Rotation, store: string, facts: Facts): Move {
  const { base, successor } = rotation
  const { generation } = successor
  return {
    events: [{ type: 'PromotionAsked', generation, store }],
    effects: [
      { key: key(rotation, 'promote', store), due: facts.now, kind: 'promote', store, generation, base },
    ],
  }
}

function destroyEverywhere(rotation: Rotation, generation: number, due: number): Effect[] {
  return rotation.plan.stores.map((store) => ({
    key: key(rotation, 'destroy', `${store}-g${generation}`),
    due,
    kind: 'destroy',
    store,
    generation,
  }))
}

export function restore(rotation: Rotation, store: string, base: number, now: number): Effect {
  const { generation } = rotation.successor
  return { key: key(rotation, 'restore', store), due: now, kind: 'restore', store, generation, base }
}

function probe(
  rotation: Rotation,
  due: number,
  purpose: 'baseline' | 'refusal',
  generation: number,
  control: number | null,
): Effect {
  return {
    key: key(rotation, 'probe', `${purpose}-g${generation}`),
    due,
    kind: 'probe',
    purpose,
    generation,
    control,
  }
}

export function look(rotation: Rotation, generation: number, due: number): Effect {
  return {
    key: key(rotation, 'timer', `drain-g${generation}`),
    due,
    kind: 'timer',
    timer: { name: 'drain-look', generation },
  }
}

export function overdue(rotation: Rotation, now: number): Effect {
  const due = now + rotation.plan.overdueMs
  return { key: key(rotation, 'timer', 'overdue'), due, kind: 'timer', timer: { name: 'overdue' } }
}

export function settle(rotation: Rotation, due: number): Effect {
  return { key: key(rotation, 'timer', 'settled'), due, kind: 'timer', timer: { name: 'settled' } }
}

function wave(rotation: Rotation, facts: Facts, next: Wave): Move {
  const { nodes, revision } = next
  const deliver: Effect = {
    key: key(rotation, 'deliver', `r${revision}`),
    due: facts.now,
    kind: 'deliver',
    revision,
    nodes,
  }
  const deadline: Effect = {
    key: key(rotation, 'timer', `deadline-r${revision}`),
    due: facts.now + rotation.plan.waveDeadlineMs,
    kind: 'timer',
    timer: { name: 'wave-deadline', revision },
  }
  return { events: [{ type: 'WaveStarted', ...next }], effects: nodes.length > 0 ? [deliver, deadline] : [] }
}

/** The wave under way is proved: on to the next one, or to the end of the rollout. */
function nextWave(
  rotation: Rotation,
  rollout: Rollout,
  facts: Facts,
  build?: (index: number) => Wave,
): Move | undefined {
  const nodes = rollout.waves[rollout.wave] ?? []
  const { missing, excused } = standing(nodes, rollout, facts.members)
  if (missing.length > 0) return undefined
  const { purpose, wave: index, revision } = rollout
  const proved = nodes.filter((node) => !excused.includes(node))
  const events: RotationEvent[] = [
    { type: 'WaveProved', purpose, wave: index, revision, nodes: proved, excused },
  ]
  if (!build || index + 1 >= rollout.waves.length) return { events, effects: [] }
  const started = wave(rotation, facts, build(index + 1))
  return { events: [...events, ...started.events], effects: started.effects }
}

/** Who of a wave still owes its proof. A node that is gone owes nothing; a lost one still does. */
export function standing(nodes: string[], rollout: Rollout, members: Member[]) {
  const byName = new Map(members.map((m) => [m.node, m]))
  const missing: string[] = []
  const excused: string[] = []
  for (const node of nodes) {
    const member = byName.get(node)
    if (!member) continue
    if (member.excused) excused.push(node)
    else if (!proves(member, rollout)) missing.push(node)
  }
  return { missing, excused }
}

function proves(member: Member, rollout: Rollout): boolean {
  if (member.provedRevision < rollout.revision) return false
  return (
    rollout.accept.every((g) => member.accepts.includes(g)) &&
    !rollout.refuse.some((g) => member.accepts.includes(g))
  )
}

function everybody(facts: Facts): string[] {
  return facts.members.map((m) => m.node).sort()
}

/** Why a retirement does not go on, for people. */
export function unmet(rotation: Rotation, facts: Facts): Unmet[] {
  return rotation.retirements.filter((r) => r.step === 'draining').flatMap((r) => gate(rotation, r, facts))
}
