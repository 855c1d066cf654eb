import { check, type World } from './spin.ts'

export type Kind =
  | 'stage'
  | 'promote'
  | 'restore'
  | 'withdraw'
  | 'destroy'
  | 'install'
  | 'suspend'
  | 'reinstate'
  | 'revoke'
  | 'probe'

/** One of the two stores, or the authority. */
export type Target = 'first' | 'second' | 'authority'

/** One step of a way through the model. Generations count from 0, the base; nodes have the names n0, n1, n2. */
export type Step =
  | { type: 'TimerFired'; timer: 'settled' }
  | { type: 'EffectDone'; kind: Kind; target: Target; generation: number }
  /** A worker took the effect, read the world, and is not heard of. */
  | { type: 'WorkerPaused'; kind: Kind; target: Target; generation: number }
  /** It acts after all. `heard`: its outcome reaches the ledger. */
  | { type: 'LateAct'; kind: Kind; target: Target; generation: number; heard: boolean }
  | { type: 'LeaseEnded' }
  | { type: 'NodeTold'; node: string; revision: number; late: boolean }
  /** `stale`: the acknowledgement is of the session before. */
  | { type: 'NodeProved'; node: string; revision: number; stale: boolean }
  | { type: 'NodeBooted'; node: string; generation: number }
  | { type: 'NodeRestarted' | 'NodeDropped' | 'NodeConnected' | 'NodeJoined'; node: string }
  | { type: 'NodeOff' | 'NodeGone' | 'NodeExcused'; node: string }
  | { type: 'Leak'; generation: number; mode: 'expedite' | 'contain' }
  | { type: 'Rollback' | 'HoldAsked' | 'Resume' | 'ClientStopped' }
  | { type: 'AuditAcknowledged'; generation: number }
  | { type: 'ClientMoved'; store: Target; generation: number }
  /** What the coordinator made of it; nothing that reaches it from outside. */
  | { type: 'Decided'; what: string; about: string }

const KINDS = [
  'stage',
  'promote',
  'restore',
  'withdraw',
  'destroy',
  'install',
  'suspend',
  'reinstate',
  'revoke',
]
const TARGETS: readonly Target[] = ['first', 'second', 'authority']
const MODES = ['rotate', 'expedite', 'contain'] as const

/** The shortest way to what goes wrong in this world, or to its goal; undefined where there is none. */
export async function trail(world: World): Promise<{ what: string; steps: Step[] } | undefined> {
  const { found } = await check(world)
  return found && { what: found.what, steps: found.trail.map(parse) }
}

/** One line of the model's output, without `STEP`. A line that is not known throws, so that none is passed over. */
export function parse(line: string): Step {
  const [verb = '', ...words] = line.split(' ')
  const number = (prefix: string) => {
    const word = words.find((w) => w.startsWith(prefix) && /^\d+$/.test(w.slice(prefix.length)))
    if (word === undefined) throw new Error(`no ${prefix || 'number'} in: ${line}`)
    return Number(word.slice(prefix.length))
  }
  const node = () => `n${number('n')}`
  switch (verb) {
    case 'timer-fired':
      return { type: 'TimerFired', timer: 'settled' }
    case 'effect-done':
      return { type: 'EffectDone', ...effect(line) }
    case 'worker-paused':
      return { type: 'WorkerPaused', ...effect(line) }
    case 'late-act':
    case 'late-act-unheard':
      return { type: 'LateAct', ...effect(line), heard: verb === 'late-act' }
    case 'lease-ended':
      return { type: 'LeaseEnded' }
    case 'node-told':
    case 'node-told-late':
      return { type: 'NodeTold', node: node(), revision: number('r'), late: verb === 'node-told-late' }
    case 'node-proved':
    case 'node-proved-stale':
      return { type: 'NodeProved', node: node(), revision: number('r'), stale: verb === 'node-proved-stale' }
    case 'node-booted':
      return { type: 'NodeBooted', node: node(), generation: number('g') }
    case 'node-restarted':
      return { type: 'NodeRestarted', node: node() }
    case 'node-dropped':
      return { type: 'NodeDropped', node: node() }
    case 'node-connected':
      return { type: 'NodeConnected', node: node() }
    case 'node-joined':
      return { type: 'NodeJoined', node: node() }
    case 'node-off':
      return { type: 'NodeOff', node: node() }
    case 'node-gone':
      return { type: 'NodeGone', node: node() }
    case 'node-excused':
      return { type: 'NodeExcused', node: node() }
    case 'leak': {
      const mode = MODES[number('mode')]
      if (mode === undefined || mode === 'rotate') throw new Error(`no mode of a leak: ${line}`)
      return { type: 'Leak', generation: number('g'), mode }
    }
    case 'rollback':
      return { type: 'Rollback' }
    case 'hold':
      return { type: 'HoldAsked' }
    case 'resume':
      return { type: 'Resume' }
    case 'audit-acknowledged':
      return { type: 'AuditAcknowledged', generation: number('g') }
    case 'client-moved':
      return { type: 'ClientMoved', store: target(number('')), generation: number('g') }
    case 'client-stopped':
      return { type: 'ClientStopped' }
    default:
      if (!DECISIONS.includes(verb)) throw new Error(`a step that is not known: ${line}`)
      return { type: 'Decided', what: verb, about: words.join(' ') }
  }
}

const DECISIONS = [
  'rolling',
  'wave-started',
  'wave-proved',
  'promoting',
  'confirming',
  'live',
  'nodes-back',
  'confirming-base',
  'back',
  'next-planned',
  'draining',
  'announced',
  'gate',
  'proving',
  'dead',
  'closed',
  'rolled-back',
]

function effect(line: string): { kind: Kind; target: Target; generation: number } {
  const [, what = '', where = '', generation = ''] =
    /^\S+ (\w+) (\d) g(\d)$/.exec(line) ?? fail(`no effect in: ${line}`)
  // A late call is printed by its number, as the model keeps it.
  const name = /^\d+$/.test(what)
    ? KINDS[Number(what) - 1]
    : what.toLowerCase().replace(/^reinst$/, 'reinstate')
  const kind = [...KINDS, 'probe'].find((k): k is Kind => k === name) ?? fail(`no kind in: ${line}`)
  return { kind, target: target(Number(where)), generation: Number(generation) }
}

function target(index: number): Target {
  return TARGETS[index] ?? fail(`no target ${index}`)
}

function fail(message: string): never {
  throw new Error(message)
}
