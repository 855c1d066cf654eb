import {
  type AgentToFleet,
  CLIENTS_MAX,
  type ClientUse,
  type DesiredState,
  type Probe,
  type Secret,
  signStatement,
  USAGES_MAX,
  type Usage,
  type UsageMessage,
} from '@rekey/contracts'
import type { NodeAdapter } from './adapters/node-adapter.ts'
import { type Attempt, attempt, type Problem, type Reached } from './attempt.ts'
import { backoffMs } from './backoff.ts'
import type { Burial, Graveyard } from './graveyard.ts'
import type { Journal, JournalEntry } from './journal.ts'
import type { Log } from './log.ts'
import { UsageBook } from './usage-book.ts'
import type { ValueSource } from './value-source.ts'

const HELD_EXTRA_MAX = 2
const CLIENTS_OF_ONE_MAX = 50

/** How an order is answered: on the session that brought it, quoting its nonce. */
export type Reply = { session: number; nonce: string; send: (message: AgentToFleet) => void }

export type KeeperStatus = {
  credential: string
  kind: string
  desiredRevision: number | null
  appliedRevision: number | null
  accept: number[]
  problem: string | null
  /** The fleet has said in the present session what is desired. Before that, the journal says what was. */
  told: boolean
  /** Whether a request with a dead key would be noticed here. */
  knocks: Burial
}

export type KeeperOptions = {
  credential: string
  adapter: NodeAdapter
  values: ValueSource
  journal: Journal
  graveyard: Graveyard
  spiffeId: string
  boot: string
  log: Log
  retry?: { baseMs: number; capMs: number }
}

/**
 * Keeps one credential of this node at its desired state. Level-triggered: only the newest order counts, every
 * attempt is complete, and a repeat changes nothing. Attempts never overlap; an order that arrives during one
 * takes its place.
 */
export class CredentialKeeper {
  readonly credential: string
  readonly adapter: NodeAdapter
  readonly #options: KeeperOptions
  readonly #book = new UsageBook()
  /** Values in memory. Those of refused generations stay until they were seen refused. */
  readonly #held = new Map<number, Secret>()
  /**
   * What was read and applied in the present session is not read again for its next orders: a generation never changes
   * its value, and a thousand nodes that all read two values at each step of an emergency are what it would wait for.
   * Each session begins with a fresh read, and so does what follows a failure.
   */
  #known = { session: 0, generations: new Set<number>() }
  /** Refusals already seen for the present order, to be said again if the first answer was lost. */
  #refusalsSeen = new Map<number, Probe>()
  #order: DesiredState | undefined
  #reply: Reply | undefined
  #applied: { state: DesiredState; reached: Reached } | undefined
  #lastApplied: DesiredState | undefined
  /** From the journal, until something was applied: what to fall back to. */
  #lastGood: DesiredState | undefined
  #problem: Problem | undefined
  #acked: string | undefined
  #nacked: string | undefined
  #next: 'attempt' | 'nothing' = 'nothing'
  #running: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #failures = 0
  #phase: 'new' | 'started' | 'stopped' = 'new'

  constructor(options: KeeperOptions) {
    this.#options = options
    this.credential = options.credential
    this.adapter = options.adapter
  }

  /** Goes back to the last order from the journal, before any fleet is there. Resolves after the first attempt. */
  async start(): Promise<void> {
    await this.#options.graveyard.load()
    const entry = await this.#options.journal.read().finally(() => {
      if (this.#phase === 'new') this.#phase = 'started'
    })
    if (!entry) return this.#next === 'attempt' ? this.#kick() : undefined
    this.#lastApplied = entry.applied
    const known = [entry.desired, entry.applied].flatMap((s) => s?.accept.map((a) => a.generation) ?? [])
    this.#book.given([...known, ...entry.desired.refuse], performance.now(), true)
    if (this.#order === undefined || this.#order.revision < entry.desired.revision)
      this.#order = entry.desired
    this.#lastGood = entry.applied
    await this.#kick()
  }

  /** Takes an order of the fleet. An older revision than the newest known one is ignored. */
  offer(state: DesiredState, reply: Reply): void {
    const { log } = this.#options
    if (this.#order && state.revision < this.#order.revision) {
      const fields = { credential: this.credential, revision: state.revision, known: this.#order.revision }
      log.warn(fields, 'an older desired state was ignored')
      return
    }
    if (this.#order?.revision !== state.revision) this.#refusalsSeen = new Map()
    this.#order = state
    this.#reply = reply
    this.#failures = 0
    void this.#kick()
  }

  /** The session ended: answers have nowhere to go until the next one brings the order again. */
  detach(): void {
    this.#reply = undefined
  }

  /** The fleet says that these are proved dead: from now on whoever presents one is noticed. */
  async died(generations: readonly number[]): Promise<void> {
    await this.#options.graveyard.died(generations)
    await this.#bury()
  }

  /** Looks whether the software still holds what it was given; if not, gives it again. */
  async check(): Promise<void> {
    await this.#bury()
    const applied = this.#applied
    if (!applied || this.#running || this.#isStopped() || !this.adapter.holds) return
    const holds = await this.adapter.holds(applied.reached.accept).catch(() => false)
    if (holds || this.#running || this.#isStopped() || applied !== this.#applied) return
    this.#options.log.warn(
      { credential: this.credential },
      'the gateway does not hold its keys, applying them again',
    )
    await this.#kick()
  }

  /** Counters by generation, or undefined where the software has none or does not answer, or nothing was ordered yet. */
  async usage() {
    // What this node was never told of is not its to speak about: the fleet refuses that.
    if (!this.#order) return undefined
    try {
      const [readings, age] = await Promise.all([this.adapter.usage(), this.adapter.countingAgeMs?.()])
      if (!readings) return undefined
      const order = this.#order
      const named = [...(order?.accept.map((a) => a.generation) ?? []), ...(order?.refuse ?? [])]
      this.#book.keepOnly(new Set([...named, ...readings.map((r) => r.generation)]))
      return mostTelling(this.#book.merge(readings, performance.now(), age), named)
    } catch {
      return undefined
    }
  }

  /** Who used the accepted generations, by address; undefined: it cannot be known here. */
  async clients(): Promise<ClientUse[] | undefined> {
    const rows = await this.adapter.clients?.().catch(() => undefined)
    const accept = this.#applied?.state.accept.map((a) => a.generation) ?? []
    return rows && newest(rows, accept)
  }

  /** Which dead generations are watched for, and who presented them; undefined: this node notices none. */
  async graveyard(): Promise<UsageMessage['graveyard']> {
    const { graveyard } = this.#options
    const knocks = await graveyard.knocks()
    return knocks && { watched: graveyard.watched, knocks }
  }

  status(): KeeperStatus {
    return {
      credential: this.credential,
      kind: this.adapter.kind,
      desiredRevision: this.#order?.revision ?? null,
      appliedRevision: this.#applied?.state.revision ?? null,
      accept: this.#applied?.state.accept.map((a) => a.generation) ?? [],
      problem: this.#problem ? `${this.#problem.reason}: ${this.#problem.detail}` : null,
      told: this.#reply !== undefined,
      knocks: this.#options.graveyard.burial,
    }
  }

  /** Ends after the step at hand. The software keeps what it has. */
  async stop(): Promise<void> {
    this.#phase = 'stopped'
    clearTimeout(this.#retry)
    await this.#running
    await this.adapter.close()
  }

  #kick(): Promise<void> {
    this.#next = 'attempt'
    clearTimeout(this.#retry)
    // Before the journal is read, an order could be older than what this node already took.
    if (this.#phase !== 'started') return Promise.resolve()
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      // Asked for between the loop's last look and this line.
      if (this.#next === 'attempt') void this.#kick()
    })
    return this.#running
  }

  #isStopped(): boolean {
    return this.#phase === 'stopped'
  }

  async #run(): Promise<void> {
    while (this.#next === 'attempt' && this.#phase === 'started') {
      this.#next = 'nothing'
      const state = this.#order
      if (!state) return
      let outcome: Attempt
      try {
        outcome = await this.#reach(state)
      } catch (error) {
        // A full disk under the journal, for instance. Nothing may be acked then.
        const detail = (error as NodeJS.ErrnoException).code ?? 'unexpected failure'
        const problem = { reason: 'adapter_failed', detail, generation: null, retry: true } as const
        outcome = { kind: 'failed', problem }
      }
      if (this.#isStopped() || outcome.kind === 'stale' || state !== this.#order) continue
      if (outcome.kind === 'reached') {
        this.#answerReached(state)
        void this.#bury()
      } else {
        this.#answerFailed(state, outcome.problem)
        await this.#serveLastGood(state)
      }
    }
  }

  async #reach(state: DesiredState): Promise<Attempt> {
    const { journal, values } = this.#options
    await this.#writeJournal(journal, {
      desired: state,
      ...(this.#lastApplied && { applied: this.#lastApplied }),
    })
    const session = this.#reply?.session ?? 0
    // Without a session nothing is known: a keeper that starts, or is cut off, asks the store.
    if (session === 0 || session !== this.#known.session) this.#known = { session, generations: new Set() }
    const known = this.#known.generations
    const outcome = await attempt(state, {
      adapter: this.adapter,
      values,
      held: this.#held,
      known,
      isStale: () => this.#isStopped() || state !== this.#order,
    })
    if (outcome.kind === 'failed') known.clear()
    if (outcome.kind !== 'reached') return outcome

    const { accept, refusals, read } = outcome.reached
    this.#book.given(
      accept.map((a) => a.generation),
      performance.now(),
      false,
    )
    for (const [generation, seen] of refusals) {
      this.#refusalsSeen.set(generation, seen)
      this.#held.delete(generation)
    }
    for (const { generation, value } of accept) this.#held.set(generation, value)
    for (const generation of read) known.add(generation)
    // One that is no longer accepted is kept to be tried when it must be refused, but not without end.
    const others = [...this.#held.keys()].filter((g) => !accept.some((a) => a.generation === g))
    for (const generation of others.slice(0, -HELD_EXTRA_MAX)) this.#held.delete(generation)
    this.#applied = { state, reached: outcome.reached }
    this.#lastApplied = state
    await Promise.all([
      this.#writeJournal(journal, { desired: state, applied: state }),
      this.#options.graveyard.remember(accept),
    ])
    return outcome
  }

  /**
   * Not before the newest order is reached: until then this node may have a dead value to try, which must not look like
   * a knock. After that it tries none, because it holds none.
   */
  async #bury(): Promise<void> {
    const applied = this.#applied
    if (!applied || applied.state !== this.#order || this.#isStopped()) return
    await this.#options.graveyard.bury(applied.state.accept.map((a) => a.generation))
  }

  #journalled: string | undefined

  async #writeJournal(journal: Journal, entry: JournalEntry): Promise<void> {
    const text = JSON.stringify(entry)
    if (text === this.#journalled) return
    await journal.write(entry)
    this.#journalled = text
  }

  #answerReached(state: DesiredState): void {
    const { log, spiffeId, boot } = this.#options
    const recovered = this.#problem !== undefined
    this.#failures = 0
    this.#problem = undefined
    const reply = this.#reply
    const applied = this.#applied
    if (!reply || !applied) return
    const address = `${reply.session} ${reply.nonce}`
    // The same answer twice is only right after we said that it was not so.
    if (this.#acked === address && !recovered) return
    const { accept, tried } = applied.reached
    const { credential, revision } = state
    reply.send({
      type: 'ack',
      credential,
      revision,
      session: reply.session,
      nonce: reply.nonce,
      proofs: accept.map(({ generation, value }) => ({
        generation,
        signature: signStatement(value, {
          credential,
          generation,
          revision,
          node: spiffeId,
          session: reply.session,
          boot,
          nonce: reply.nonce,
        }),
        tried: tried.get(generation) ?? 'unknown',
      })),
      refusals: state.refuse.flatMap((generation) => {
        const seen = this.#refusalsSeen.get(generation)
        return seen === undefined ? [] : [{ generation, tried: seen }]
      }),
    })
    this.#acked = address
    this.#nacked = undefined
    const accepted = state.accept.map((a) => a.generation)
    log.info({ credential, revision, accept: accepted, refuse: state.refuse }, 'the desired state is reached')
  }

  #answerFailed(state: DesiredState, problem: Problem): void {
    const { log, retry } = this.#options
    const { credential, revision } = state
    const { reason, generation } = problem
    this.#problem = problem
    const detail = problem.detail.slice(0, 300)
    const reply = this.#reply
    const said = `${reply?.session} ${reply?.nonce} ${revision} ${reason} ${generation}`
    if (said !== this.#nacked) {
      this.#nacked = said
      log.warn({ credential, revision, generation, reason, detail }, 'the desired state is not reached')
      reply?.send({ type: 'nack', credential, revision, session: reply.session, generation, reason, detail })
    }
    if (!problem.retry) return
    const delay = backoffMs(this.#failures, retry ?? { baseMs: 200, capMs: 5_000 })
    this.#failures += 1
    this.#retry = setTimeout(() => void this.#kick(), delay)
  }

  /** After a boot the newest order may be out of reach while the one before it is not. Tried once. */
  async #serveLastGood(desired: DesiredState): Promise<void> {
    const good = this.#lastGood
    this.#lastGood = undefined
    if (!good || good.revision === desired.revision || this.#applied) return
    // What the newest order refuses stays refused, whatever was good before.
    const wanted = good.accept.filter(
      (a) => a.generation >= desired.floor && !desired.refuse.includes(a.generation),
    )
    const { values } = this.#options
    const fetched = await Promise.all(
      wanted.map(async (a) => ({ ...a, answer: await values.fetch(good.store, a.generation, a.keyId) })),
    )
    const accept = fetched.flatMap(({ generation, keyId, answer }) =>
      answer.kind === 'value' ? [{ generation, keyId, value: answer.value }] : [],
    )
    // With a part only, the gateway may well hold more than we could give it.
    if (accept.length === 0 || accept.length !== wanted.length || desired !== this.#order) return
    try {
      await this.adapter.apply(accept)
      const fields = { credential: this.credential, revision: good.revision }
      this.#options.log.warn(fields, 'the newest desired state is out of reach, serving the last good one')
    } catch {
      // The attempt before this one has reported the same.
    }
  }
}

/** A report has room for so many: those that an order names, those that are in flight, and the newest. */
function mostTelling(usages: Usage[], named: readonly number[]): Usage[] {
  if (usages.length <= USAGES_MAX) return usages
  const weight = ({ generation, inFlight }: Usage) => (named.includes(generation) ? 2 : inFlight > 0 ? 1 : 0)
  return usages
    .toSorted((a, b) => weight(b) - weight(a) || b.generation - a.generation)
    .slice(0, USAGES_MAX)
    .toSorted((a, b) => a.generation - b.generation)
}

/** Of each generation as many, those that used it last. */
function newest(rows: ClientUse[], generations: number[]): ClientUse[] {
  const each = Math.min(CLIENTS_OF_ONE_MAX, Math.floor(CLIENTS_MAX / Math.max(1, generations.length)))
  return generations.flatMap((generation) =>
    rows
      .filter((row) => row.generation === generation)
      .toSorted((a, b) => a.lastUseAgeMs - b.lastUseAgeMs)
      .slice(0, each),
  )
}
