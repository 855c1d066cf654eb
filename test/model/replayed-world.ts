import {
  decide,
  desired,
  type Effect,
  type EffectResult,
  evolveAll,
  type Facts,
  type Input,
  isDying,
  open,
  type Plan,
  type Rotation,
  type RotationEvent,
} from '@rekey/core'
import { Nodes, type ReplayedNode } from './nodes.ts'
import { Outside } from './outside.ts'
import { Pending, real, STORES } from './pending.ts'
import type { Model } from './spin.ts'
import { Stopped } from './stopped.ts'
import type { Step } from './trail.ts'

const WINDOW_MS = 1_000
const LEASE_MS = 1_000_000

type Late = { effect: Effect; version: number }

/** The core, and around it whatever the trail of a model says. */
export class ReplayedWorld {
  rotation: Rotation
  readonly isInbound: boolean
  readonly nodes: Nodes
  readonly outside: Outside
  client: number | null = 1
  readonly #helps: boolean
  readonly #pending = new Pending()
  #now = 10_000
  #next = 2
  #leasedUntil = 0
  #late: Late | undefined

  constructor(model: Model, nodes: number, mode: Rotation['mode'], helps: boolean) {
    this.#helps = helps
    this.outside = new Outside(Object.values(STORES), (generation) => this.#probe(generation))
    this.isInbound = model === 'inbound'
    this.nodes = new Nodes(nodes)
    const decision = open(
      {
        id: 'r1',
        credential: 'key',
        cause: { kind: 'order', actor: 'model', reason: 'replay' },
        mode,
        goal: 'replace',
        compromised: [],
        plan: planOf(model),
        base: 1,
        revision: 1,
        movedAt: null,
        jitterMs: 0,
        alreadyDead: false,
      },
      this.#facts(),
    )
    this.rotation = decision.rotation
    this.#note(decision.events, decision.effects)
  }

  take(step: Step): void {
    this.#now++
    const { nodes } = this
    switch (step.type) {
      case 'TimerFired':
        this.#fire((timer) => timer.name === 'settled')
        break
      case 'EffectDone':
        this.#work(step)
        break
      case 'WorkerPaused': {
        const effect = this.#pending.find(step)
        this.#late = { effect, version: this.outside.version(effect) }
        this.#leasedUntil = this.#now + LEASE_MS
        break
      }
      case 'LateAct':
        this.#actLate(step.heard)
        break
      case 'LeaseEnded':
        this.#leasedUntil = 0
        break
      case 'NodeTold':
        nodes.tell(step.node, step.late)
        break
      case 'NodeProved': {
        const node = nodes.get(step.node)
        // An acknowledgement of an older session never reaches the core: the ledger refuses it.
        if (!step.stale) this.#prove(node)
        break
      }
      case 'NodeBooted':
        nodes.boot(step.node, real(step.generation))
        break
      case 'NodeRestarted':
      case 'NodeOff':
        nodes.turnOff(step.node)
        break
      case 'NodeDropped':
        nodes.drop(step.node)
        break
      case 'NodeJoined':
        nodes.join(step.node)
        this.#connect(step.node)
        break
      case 'NodeConnected':
        this.#connect(step.node)
        break
      case 'NodeGone':
        nodes.leave(step.node)
        this.#give({ type: 'NodesChanged' })
        break
      case 'NodeExcused':
        nodes.get(step.node).excused = true
        this.#give({ type: 'NodesChanged' })
        break
      case 'Leak':
        this.#give({
          type: 'CauseAdded',
          cause: { kind: 'leak', actor: 'model', reason: 'replay' },
          mode: step.mode,
          goal: 'replace',
          compromised: [real(step.generation)],
        })
        break
      case 'Rollback':
        this.#give({ type: 'RollbackAsked', actor: 'model', reason: 'replay' })
        break
      case 'HoldAsked':
        this.#give({ type: 'HoldAsked', actor: 'model', reason: 'replay' })
        break
      case 'Resume':
        this.#give({ type: 'ResumeAsked', actor: 'model', reason: 'replay' })
        break
      case 'AuditAcknowledged':
        this.#give({ type: 'AuditAcknowledged', generation: real(step.generation) })
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
        this.#wait(step.what)
        break
      default:
        step satisfies never
    }
  }

  #actLate(isHeard: boolean): void {
    if (!this.#late) throw new Stopped('no worker is paused')
    const { effect, version } = this.#late
    const isPlanned = this.#pending.isPlanned(effect)
    const result = this.outside.act(effect, version)
    this.#late = undefined
    this.#leasedUntil = 0
    if (isHeard && isPlanned && result) this.#finish(effect, result)
  }

  #prove(node: ReplayedNode): void {
    node.proof = node.order
    this.#give({ type: 'WaveProved', revision: node.order.revision })
  }

  #connect(name: string): void {
    const { accept } = desired(this.rotation, 1)
    this.nodes.connect(name, { revision: this.rotation.revision, accept })
    this.#give({ type: 'NodesChanged' })
  }

  /** The core decides by itself; what it needs for that is time, and a prober. */
  #wait(what: string): void {
    if (this.#helps) this.#help()
    if (what === 'announced' || what === 'gate') {
      this.#now += 2 * WINDOW_MS
      this.#fire((timer) => timer.name === 'drain-look' || timer.name === 'look')
    }
    if (what === 'live') {
      const baseline = [...this.#pending].find((e) => e.kind === 'probe' && e.purpose === 'baseline')
      if (baseline) this.#finish(baseline, this.outside.act(baseline, 0))
    }
  }

  #help(): void {
    for (let turn = 0; turn < 10; turn++)
      for (const [name, node] of this.nodes)
        if (node.runs && !node.lost && node.told.length > 0) {
          this.nodes.tell(name, false)
          this.#prove(node)
        }
  }

  #facts(): Facts {
    const members = [...this.nodes].map(([node, n]) => ({
      node,
      excused: n.excused,
      lost: n.lost,
      provedRevision: n.proof?.revision ?? 0,
      accepts: n.proof?.accept ?? [],
      reportedAt: n.lost ? null : this.#now,
      usage: this.#usage(n),
    }))
    return { now: this.#now, members, nextGeneration: this.#next, leasedUntil: this.#leasedUntil }
  }

  /** Inbound, a node sees the client; outbound, itself. */
  #usage(node: ReplayedNode) {
    const used = this.isInbound ? (this.client === null ? [] : [this.client]) : node.order.accept
    return used.map((generation) => ({ generation, inFlight: 0, lastUsedAt: this.#now }))
  }

  #give(input: Input): void {
    const decision = decide(this.rotation, input, this.#facts())
    if (decision.refusal) throw new Stopped(decision.refusal)
    this.rotation = evolveAll(this.rotation, decision.events) ?? this.rotation
    this.#note(decision.events, decision.effects)
  }

  /** What the ledger does with a decision: rows of effects, and what each node is told. */
  #note(events: readonly RotationEvent[], effects: readonly Effect[]): void {
    for (const event of events) {
      if (event.type === 'RotationOpened' || event.type === 'SuccessorPlanned')
        this.#next = Math.max(this.#next, (event.generation ?? 0) + 1)
      if (event.type === 'SuccessorAbandoned') this.#pending.cancel([event.generation, ...event.dropped])
      if (event.type === 'WaveStarted') {
        const { revision, accept } = event
        this.nodes.order(event.nodes, { revision, accept })
      }
    }
    this.#pending.ask(effects)
  }

  #fire(isMeant: (timer: Extract<Effect, { kind: 'timer' }>['timer']) => boolean): void {
    for (const effect of this.#pending)
      if (effect.kind === 'timer' && isMeant(effect.timer) && this.#pending.take(effect))
        this.#give({ type: 'TimerFired', timer: effect.timer })
  }

  #work(step: Extract<Step, { type: 'EffectDone' }>): void {
    // The core withdraws what a store shows before it promotes there; the model leaves the order open.
    if (step.kind === 'withdraw' && !this.#pending.search(step)) return
    if (step.kind === 'promote' && !this.#pending.search(step)) {
      const withdrawal = { ...step, kind: 'withdraw', generation: step.generation - 1 } as const
      const first = this.#pending.search(withdrawal)
      if (first) this.#finish(first, this.outside.act(first, this.outside.version(first)))
    }
    const effect = this.#pending.find(step)
    if (this.#late?.effect === effect) throw new Stopped('its lease is held')
    this.#finish(effect, this.outside.act(effect, this.outside.version(effect)))
    // An inconclusive round is followed by another one; the first has no control yet.
    const again = step.kind === 'probe' ? this.#pending.search(step) : undefined
    if (again) this.#finish(again, this.outside.act(again, 0))
  }

  #finish(effect: Effect, result: EffectResult | undefined): void {
    if (!result) throw new Stopped(`${effect.kind} did not succeed`)
    this.#pending.take(effect)
    this.#give({ type: 'EffectDone', effect, result })
  }

  #probe(generation: number): 'accepted' | 'refused' {
    if (!this.isInbound) return this.outside.isAccepted(generation) ? 'accepted' : 'refused'
    const serving = [...this.nodes].map(([, node]) => node).filter((n) => n.runs && !n.excused)
    const isAccepted = isDying(this.rotation, generation)
      ? serving.some((n) => n.order.accept.includes(generation))
      : serving.every((n) => n.order.accept.includes(generation))
    return isAccepted ? 'accepted' : 'refused'
  }
}

function planOf(direction: Model): Plan {
  return {
    direction,
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
    soakMs: direction === 'inbound' ? null : 1,
    refusalLagMs: 0,
    overdueMs: LEASE_MS,
  }
}
