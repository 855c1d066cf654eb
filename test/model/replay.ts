import {
  decide,
  desired,
  type Effect,
  type EffectResult,
  evolveAll,
  type Facts,
  type Input,
  isCompromised,
  isDying,
  open,
  type Plan,
  type Rotation,
  type RotationEvent,
} from '@rekey/core'
import { Outside } from './outside.ts'
import type { Model } from './spin.ts'
import type { Step, Target } from './trail.ts'

/**
 * The real core, led through a way of the model: what comes from outside in the trail comes to the core, and the world
 * around it does what the trail says. The core decides at once where the model may wait, and it may refuse a step that
 * the model takes: then the way ends there, which is what one hopes for where the way leads to a failure.
 */
export type Replayed = {
  /** How many steps were taken. */
  followed: number
  /** Why the next one could not be. */
  stopped: string | undefined
  rotation: Rotation
  /** Promises that were broken on the way. */
  violations: string[]
}

/** Generations count from 1 in the core: the base is 1. */
const real = (generation: number) => generation + 1

export type Options = {
  nodes: number
  /** The mode that the rotation opens with. */
  mode?: Rotation['mode']
  /** The core may ask nodes more often than the model: whenever the model decides, they have done what they were told. */
  helps?: boolean
}

const STORES: Record<Exclude<Target, 'authority'>, string> = { first: 'vault', second: 'aws' }
const WINDOW_MS = 1_000
const LEASE_MS = 1_000_000

type Order = { revision: number; accept: number[] }

type Node = {
  runs: boolean
  lost: boolean
  excused: boolean
  /** It came back after it was excused: from then on it must keep the promises again. */
  returned: boolean
  /** What it applied. */
  order: Order
  /** What it was told and has not applied, oldest first. */
  told: Order[]
  /** What it proved in this session. */
  proof: Order | undefined
}

type Asked = Omit<Extract<Step, { type: 'EffectDone' }>, 'type'>

type Late = { effect: Effect; version: number }

class Stopped extends Error {}

export function replay(
  model: Model,
  steps: readonly Step[],
  { nodes, mode = 'rotate', helps = false }: Options,
): Replayed {
  const world = new World(model, nodes, mode, helps)
  let followed = 0
  try {
    for (const step of steps) {
      world.take(step)
      world.check(followed)
      followed++
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error
    return { followed, stopped: error.message, rotation: world.rotation, violations: world.violations }
  }
  return { followed, stopped: undefined, rotation: world.rotation, violations: world.violations }
}

class World {
  violations: string[] = []
  rotation: Rotation
  private readonly isInbound: boolean
  private readonly helps: boolean
  private now = 10_000
  private next = 2
  private leasedUntil = 0
  private readonly pending = new Map<string, Effect>()
  private readonly nodes = new Map<string, Node>()
  private readonly outside: Outside
  private client: number | null = 1
  private late: Late | undefined

  constructor(model: Model, nodes: number, mode: Rotation['mode'], helps: boolean) {
    this.helps = helps
    this.outside = new Outside(Object.values(STORES), (generation) => this.probe(generation))
    this.isInbound = model === 'inbound'
    for (let i = 0; i < nodes; i++) this.nodes.set(`n${i}`, freshNode({ revision: 1, accept: [1] }))
    const plan: Plan = {
      direction: model,
      slots: 2,
      stores: Object.values(STORES),
      waves: [1, '100%'],
      windows: [],
      settleMs: 1,
      waveDeadlineMs: LEASE_MS,
      quietMs: WINDOW_MS,
      readerCacheMs: WINDOW_MS,
      drainCapMs: LEASE_MS,
      expediteDrainMs: WINDOW_MS,
      evidenceMs: LEASE_MS,
      soakMs: this.isInbound ? null : 1,
      refusalLagMs: 0,
      overdueMs: LEASE_MS,
    }
    const decision = open(
      {
        id: 'r1',
        credential: 'key',
        cause: { kind: 'order', actor: 'model', reason: 'replay' },
        mode,
        goal: 'replace',
        compromised: [],
        plan,
        base: 1,
        revision: 1,
        movedAt: null,
        jitterMs: 0,
        alreadyDead: false,
      },
      this.facts(),
    )
    this.rotation = decision.rotation
    this.note(decision.events, decision.effects)
  }

  take(step: Step): void {
    this.now++
    switch (step.type) {
      case 'TimerFired':
        this.fire((timer) => timer.name === 'settled')
        break
      case 'EffectDone':
        this.work(step)
        break
      case 'WorkerPaused': {
        const effect = this.find(step)
        this.late = { effect, version: this.outside.version(effect) }
        this.leasedUntil = this.now + LEASE_MS
        break
      }
      case 'LateAct': {
        if (!this.late) throw new Stopped('no worker is paused')
        const { effect, version } = this.late
        const isPlanned = this.pending.get(effect.key) === effect
        const result = this.outside.act(effect, version)
        this.late = undefined
        this.leasedUntil = 0
        if (step.heard && isPlanned && result) this.finish(effect, result)
        break
      }
      case 'LeaseEnded':
        this.leasedUntil = 0
        break
      case 'NodeTold':
        this.tell(step.node, step.late)
        break
      case 'NodeProved': {
        const node = this.node(step.node)
        // An acknowledgement of an older session never reaches the core: the ledger refuses it.
        if (step.stale) return
        node.proof = node.order
        this.give({ type: 'WaveProved', revision: node.order.revision })
        break
      }
      case 'NodeBooted': {
        const node = this.node(step.node)
        Object.assign(node, { runs: true, order: { revision: 0, accept: [real(step.generation)] } })
        break
      }
      case 'NodeRestarted':
      case 'NodeOff':
        Object.assign(this.node(step.node), {
          runs: false,
          lost: true,
          told: [],
          order: { revision: 0, accept: [] },
        })
        break
      case 'NodeDropped':
        Object.assign(this.node(step.node), { lost: true, told: [] })
        break
      case 'NodeJoined':
        this.nodes.set(step.node, {
          ...freshNode({ revision: 0, accept: [] }),
          runs: false,
          proof: undefined,
        })
        this.connect(step.node)
        break
      case 'NodeConnected':
        this.connect(step.node)
        break
      case 'NodeGone':
        this.nodes.delete(step.node)
        this.give({ type: 'NodesChanged' })
        break
      case 'NodeExcused':
        this.node(step.node).excused = true
        this.give({ type: 'NodesChanged' })
        break
      case 'Leak':
        this.give({
          type: 'CauseAdded',
          cause: { kind: 'leak', actor: 'model', reason: 'replay' },
          mode: step.mode,
          goal: 'replace',
          compromised: [real(step.generation)],
        })
        break
      case 'Rollback':
        this.give({ type: 'RollbackAsked', actor: 'model', reason: 'replay' })
        break
      case 'HoldAsked':
        this.give({ type: 'HoldAsked', actor: 'model', reason: 'replay' })
        break
      case 'Resume':
        this.give({ type: 'ResumeAsked', actor: 'model', reason: 'replay' })
        break
      case 'AuditAcknowledged':
        this.give({ type: 'AuditAcknowledged', generation: real(step.generation) })
        break
      case 'ClientMoved': {
        if (step.store === 'authority') throw new Stopped('a client reads stores')
        const shows = this.outside.store(STORES[step.store]).shows
        if (shows !== real(step.generation)) throw new Stopped(`the ${step.store} store shows ${shows}`)
        this.client = shows
        break
      }
      case 'ClientStopped':
        this.client = null
        break
      case 'Decided':
        this.wait(step.what)
        break
      default:
        step satisfies never
    }
  }

  /** The core decides by itself; what it needs for that is time, and a prober. */
  private wait(what: string): void {
    if (this.helps) this.help()
    if (what === 'announced' || what === 'gate') {
      this.now += 2 * WINDOW_MS
      this.fire((timer) => timer.name === 'drain-look' || timer.name === 'look')
    }
    if (what === 'live') {
      const baseline = [...this.pending.values()].find((e) => e.kind === 'probe' && e.purpose === 'baseline')
      if (baseline) this.finish(baseline, this.outside.act(baseline, 0))
    }
  }

  private help(): void {
    for (let turn = 0; turn < 10; turn++)
      for (const [name, node] of this.nodes)
        if (node.runs && !node.lost && node.told.length > 0) {
          this.tell(name, false)
          node.proof = node.order
          this.give({ type: 'WaveProved', revision: node.order.revision })
        }
  }

  /** I1 and I3, where the real core has led this world. */
  check(step: number): void {
    const contained = (g: number) => this.rotation.mode === 'contain' && isCompromised(this.rotation, g)
    const say = (text: string) => this.violations.push(`step ${step}: ${text}`)
    const serving = [...this.nodes].filter(
      ([, n]) => n.runs && (!n.excused || n.returned) && !(n.lost && this.rotation.mode === 'contain'),
    )
    for (const [name, { order }] of serving) {
      if (
        this.isInbound &&
        this.client !== null &&
        !contained(this.client) &&
        !order.accept.includes(this.client)
      )
        say(`I1: ${name} refuses generation ${this.client}`)
      for (const g of order.accept) {
        if (!this.isInbound && !contained(g) && !this.outside.isAccepted(g))
          say(`I1: ${name} presents generation ${g}`)
        if (this.isDead(g)) say(`I3: ${name} holds generation ${g}`)
      }
    }
    if (
      !this.isInbound &&
      this.client !== null &&
      !contained(this.client) &&
      !this.outside.isAccepted(this.client)
    )
      say(`I1: a reader presents generation ${this.client}`)
    for (const [name, { shows }] of this.outside.stores)
      if (shows !== null && this.isDead(shows)) say(`I3: ${name} shows ${shows}`)
  }

  private isDead(generation: number): boolean {
    return this.rotation.retirements.some((r) => r.generation === generation && r.step === 'dead')
  }

  private facts(): Facts {
    const members = [...this.nodes].map(([node, n]) => ({
      node,
      excused: n.excused,
      lost: n.lost,
      provedRevision: n.proof?.revision ?? 0,
      accepts: n.proof?.accept ?? [],
      reportedAt: n.lost ? null : this.now,
      usage: this.usage(n),
    }))
    return { now: this.now, members, nextGeneration: this.next, leasedUntil: this.leasedUntil }
  }

  /** Inbound, a node sees the client; outbound, itself. */
  private usage(node: Node) {
    const used = this.isInbound ? (this.client === null ? [] : [this.client]) : node.order.accept
    return used.map((generation) => ({ generation, inFlight: 0, lastUsedAt: this.now }))
  }

  private give(input: Input): void {
    const decision = decide(this.rotation, input, this.facts())
    if (decision.refusal) throw new Stopped(decision.refusal)
    this.rotation = evolveAll(this.rotation, decision.events) ?? this.rotation
    this.note(decision.events, decision.effects)
  }

  /** What the ledger does with a decision: rows of effects, and what each node is told. */
  private note(events: readonly RotationEvent[], effects: readonly Effect[]): void {
    for (const event of events) {
      if (event.type === 'RotationOpened' || event.type === 'SuccessorPlanned')
        this.next = Math.max(this.next, (event.generation ?? 0) + 1)
      if (event.type === 'SuccessorAbandoned') this.cancel([event.generation, ...event.dropped])
      if (event.type === 'WaveStarted')
        for (const name of event.nodes) {
          const node = this.nodes.get(name)
          if (node && !node.lost) node.told.push({ revision: event.revision, accept: event.accept })
        }
    }
    for (const effect of effects)
      if (!this.pending.has(effect.key) || effect.kind === 'timer') this.pending.set(effect.key, effect)
  }

  private cancel(tracks: number[]): void {
    for (const effect of this.pending.values())
      if (effect.of !== null && tracks.includes(effect.of)) this.pending.delete(effect.key)
  }

  private fire(isMeant: (timer: Extract<Effect, { kind: 'timer' }>['timer']) => boolean): void {
    for (const effect of [...this.pending.values()])
      if (effect.kind === 'timer' && isMeant(effect.timer) && this.pending.delete(effect.key))
        this.give({ type: 'TimerFired', timer: effect.timer })
  }

  private work(step: Extract<Step, { type: 'EffectDone' }>): void {
    // The core withdraws what a store shows before it promotes there; the model leaves the order open.
    if (step.kind === 'withdraw' && !this.search(step)) return
    if (step.kind === 'promote' && !this.search(step)) {
      const first = this.search({ ...step, kind: 'withdraw', generation: step.generation - 1 })
      if (first) this.finish(first, this.outside.act(first, this.outside.version(first)))
    }
    const effect = this.find(step)
    if (this.late?.effect === effect) throw new Stopped('its lease is held')
    this.finish(effect, this.outside.act(effect, this.outside.version(effect)))
    // An inconclusive round is followed by another one; the first has no control yet.
    const again = step.kind === 'probe' ? this.search(step) : undefined
    if (again) this.finish(again, this.outside.act(again, 0))
  }

  private find(asked: Asked): Effect {
    const found = this.search(asked)
    if (found) return found
    const { kind, target, generation } = asked
    throw new Stopped(`no ${kind} of generation ${real(generation)} is asked for (${target})`)
  }

  private search({ kind, target, generation }: Asked): Effect | undefined {
    const store = target === 'authority' || kind === 'probe' ? undefined : STORES[target]
    return [...this.pending.values()].find(
      (e) =>
        e.kind === kind &&
        (store === undefined || ('store' in e && e.store === store)) &&
        (e.kind === 'restore' ? e.base : 'generation' in e ? e.generation : 0) === real(generation),
    )
  }

  private finish(effect: Effect, result: EffectResult | undefined): void {
    if (!result) throw new Stopped(`${effect.kind} did not succeed`)
    this.pending.delete(effect.key)
    this.give({ type: 'EffectDone', effect, result })
  }

  private probe(generation: number): 'accepted' | 'refused' {
    if (!this.isInbound) return this.outside.isAccepted(generation) ? 'accepted' : 'refused'
    const serving = [...this.nodes.values()].filter((n) => n.runs && !n.excused)
    const isAccepted = isDying(this.rotation, generation)
      ? serving.some((n) => n.order.accept.includes(generation))
      : serving.every((n) => n.order.accept.includes(generation))
    return isAccepted ? 'accepted' : 'refused'
  }

  private node(name: string): Node {
    const node = this.nodes.get(name)
    if (!node) throw new Stopped(`${name} is not there`)
    return node
  }

  /** A session begins with a fresh read of the ledger, and nothing is proved in it yet. */
  private connect(name: string): void {
    const node = this.node(name)
    const { accept } = desired(this.rotation, 1)
    Object.assign(node, {
      lost: false,
      returned: node.excused,
      proof: undefined,
      told: [{ revision: this.rotation.revision, accept }],
    })
    this.give({ type: 'NodesChanged' })
  }

  /** The latest order, or an earlier one that is still on its way; an older one than it has is ignored. */
  private tell(name: string, late: boolean): void {
    const node = this.node(name)
    if (node.lost) throw new Stopped(`${name} has no session`)
    const order = late ? node.told.at(-2) : node.told.at(-1)
    // The core has not told it yet, where the model has.
    if (!order) return
    if (!node.runs || order.revision > node.order.revision) Object.assign(node, { order, runs: true })
    node.told = node.told.filter((o) => o.revision > order.revision)
  }
}

function freshNode(order: Order): Node {
  return { runs: true, lost: false, excused: false, returned: false, order, told: [], proof: order }
}
