import type { DesiredState, UsageMessage } from '@rekey/contracts'
import type { Process } from './process.ts'
import type { AuthorityServer } from './servers/authority-server.ts'
import type { KvServer } from './servers/kv-server.ts'

export type Nack = {
  reason: 'store_unreachable' | 'value_missing' | 'below_floor' | 'value_refused' | 'adapter_failed'
  generation: number | null
}

/** How an order is answered: on the session that brought it. */
export type Reply = {
  session: number
  ack: (revision: number, proved: number[]) => void
  nack: (revision: number, nack: Nack) => void
}

export type KeeperOptions = {
  credential: string
  direction: 'inbound' | 'outbound'
  agent: Process
  store: KvServer
  authority: AuthorityServer
  /** Its consumers are gone: it may be held, and is not used. */
  isIdle: () => boolean
  /** What it serves is answered with errors now. */
  isFailing: () => boolean
  /** Told when a desired state is reached in full: the truth that a proof stands for. */
  onReached: (state: DesiredState) => void
}

type Page = { inFlight: number; lastUseAt: number | null; requests: number; failures: number }

const UNUSED: Page = { inFlight: 0, lastUseAt: null, requests: 0, failures: 0 }

/**
 * One credential on one node: a gateway that accepts (outbound: an application that presents) exactly what it was
 * given, and an agent that gives it. Level-triggered, as the real one is.
 */
export class Keeper {
  readonly #options: KeeperOptions
  /** What is accepted, or presented, now. Null: nothing serves here yet. */
  gateway: Map<number, string> | null = null
  /** Survives the agent, not the disk. */
  #journal: { desired: DesiredState; applied?: DesiredState } | undefined
  #order: DesiredState | undefined
  #applied: DesiredState | undefined
  #lastGood: DesiredState | undefined
  #reply: Reply | undefined
  #held = new Map<number, string>()
  #attempt = 0
  #failures = 0
  readonly #book = new Map<number, Page>()
  /** Grows when what it accepts or presents changes. */
  changes = 0

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  get revision(): number {
    return this.#applied?.revision ?? -1
  }

  /** The agent starts: its memory is empty, the gateway may have gone on. */
  start(): void {
    this.#order = this.#journal?.desired
    this.#lastGood = this.#journal?.applied
    this.#applied = undefined
    this.#reply = undefined
    this.#held = new Map()
    this.#failures = 0
    this.#attempt++
    if (this.#order) this.#try()
  }

  /** The host went down: the gateway forgets, and its counters with it. */
  powerOff({ isWiped }: { isWiped: boolean }): void {
    this.gateway = null
    this.changes++
    for (const page of this.#book.values()) {
      page.inFlight = 0
      page.lastUseAt = this.#options.agent.ground.now
    }
    if (isWiped) this.#journal = undefined
  }

  /** Only the newest order counts. */
  offer(state: DesiredState, reply: Reply): void {
    if (this.#order && state.revision < this.#order.revision) return
    this.#order = state
    this.#reply = reply
    this.#failures = 0
    this.#try()
  }

  detach(): void {
    this.#reply = undefined
  }

  #try(): void {
    const state = this.#order
    if (!state) return
    const { agent } = this.#options
    const attempt = ++this.#attempt
    this.#journal = { ...this.#journal, desired: state }
    const next = (ms: number, step: () => void) =>
      agent.after(ms, () => {
        if (this.#attempt === attempt) step()
      })
    next(agent.ground.takes(2, 20), () => {
      const values = this.#fetch(state)
      if ('reason' in values) return this.#failed(state, values)
      return next(agent.ground.takes(1, 8), () => {
        const problem = this.#apply(values)
        if (problem) return this.#failed(state, problem)
        return next(agent.ground.takes(1, 5), () => this.#reached(state))
      })
    })
  }

  #fetch({ accept, floor, refuse }: DesiredState): Map<number, string> | Nack {
    const { agent, store, credential } = this.#options
    const low = accept.find(({ generation }) => generation < floor)
    if (low) return { reason: 'below_floor', generation: low.generation }
    const isAway = agent.ground.hit('down', (fault) => fault.server === store.name) !== undefined
    const values = new Map<number, string>()
    for (const { generation } of accept) {
      const found = isAway ? undefined : store.staged(credential, generation)
      const text = found?.text ?? (isAway ? this.#held.get(generation) : undefined)
      if (text === undefined) {
        for (const dead of refuse) if (this.gateway?.delete(dead)) this.changes++
        return { reason: isAway ? 'store_unreachable' : 'value_missing', generation }
      }
      values.set(generation, text)
    }
    return values
  }

  #apply(values: Map<number, string>): Nack | undefined {
    const { direction, authority, agent } = this.#options
    if (direction === 'outbound')
      for (const [generation, text] of values) {
        // It tries the value on its real path before it switches.
        if (agent.ground.hit('down', (fault) => fault.server === 'authority'))
          return { reason: 'adapter_failed', generation }
        if (!authority.accepts({ generation, text })) return { reason: 'value_refused', generation }
      }
    this.#give(values)
    return undefined
  }

  #give(values: Map<number, string>): void {
    const { direction, agent } = this.#options
    const before = this.gateway
    this.gateway = values
    this.changes++
    for (const generation of values.keys())
      if (!this.#book.has(generation)) this.#book.set(generation, { ...UNUSED })
    // Connections that were opened with the old one live on for a while.
    if (direction === 'outbound')
      for (const generation of before?.keys() ?? [])
        if (!values.has(generation)) this.#use(generation, agent.ground.random.between(0, 800))
  }

  #reached(state: DesiredState): void {
    for (const [generation, text] of this.gateway ?? []) this.#held.set(generation, text)
    this.#applied = state
    this.#journal = { desired: state, applied: state }
    this.#failures = 0
    this.#options.onReached(state)
    this.#reply?.ack(
      state.revision,
      state.accept.map((a) => a.generation),
    )
  }

  #failed(state: DesiredState, nack: Nack): void {
    const { agent } = this.#options
    this.#reply?.nack(state.revision, nack)
    this.#serveLastGood(state)
    if (nack.reason === 'below_floor') return
    const attempt = this.#attempt
    agent.after(Math.min(200 * 2 ** this.#failures++, 5_000), () => {
      if (this.#attempt === attempt) this.#try()
    })
  }

  /** After a boot the newest order may be out of reach while the one before it is not. Tried once. */
  #serveLastGood(desired: DesiredState): void {
    const good = this.#lastGood
    this.#lastGood = undefined
    if (!good || good.revision === desired.revision || this.#applied) return
    const wanted = good.accept.filter(
      (a) => a.generation >= desired.floor && !desired.refuse.includes(a.generation),
    )
    const values = this.#fetch({ ...good, accept: wanted, refuse: [] })
    if ('reason' in values || values.size === 0) return
    this.#apply(values)
  }

  /** A request, or a connection, with this generation: in flight for a while. */
  #use(generation: number, ms: number): void {
    const { ground } = this.#options.agent
    const page = this.#book.get(generation) ?? { ...UNUSED }
    this.#book.set(generation, page)
    page.inFlight++
    page.requests++
    if (this.#options.isFailing()) page.failures++
    page.lastUseAt = ground.now
    ground.after(ms, () => {
      page.inFlight = Math.max(0, page.inFlight - 1)
      page.lastUseAt = ground.now
    })
  }

  /** A client presents something. */
  serve(generation: number, ms: number): void {
    this.#use(generation, ms)
  }

  usage(session: number): UsageMessage | undefined {
    const { agent, direction, credential, isIdle } = this.#options
    if (this.gateway === null) return undefined
    if (direction === 'outbound' && !isIdle())
      for (const generation of this.gateway.keys()) this.#use(generation, 0)
    const generations = [...this.#book].map(([generation, { inFlight, lastUseAt, requests, failures }]) => ({
      generation,
      inFlight,
      lastUseAgeMs:
        lastUseAt === null ? null : agent.ground.now - (inFlight > 0 ? agent.ground.now : lastUseAt),
      requests,
      failures,
    }))
    return { type: 'usage', credential, session, generations }
  }
}
