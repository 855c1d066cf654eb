import { LruMap } from './lru-map.ts'

/** What was done with a key; and by one address. */
type Use = { requests: number; lastAt: number }
type UseBy = Use & { keyId: string; address: string }

type Counter = Use & {
  inFlight: number
  /** Until then a request may run with this key that this process does not know. */
  assumedUntil: number
  failures: number
}

export type KeyUse = {
  keyId: string
  inFlight: number
  lastUseAgeMs: number | null
  requests: number
  /** Of them, those that ended with a 5xx; absent: nobody says how they end. */
  failures?: number
}
export type AddressUse = { keyId: string; address: string; requests: number; lastUseAgeMs: number }

export type UsesOptions = {
  /** The longest that a request may run, milliseconds. */
  longestMs: number
  /** A monotonic clock, milliseconds. */
  now: () => number
  /** So many requests are known one by one; of more it is said that they may still run. */
  inFlightMax?: number
  /** So many addresses are remembered, those that came last. */
  addressesMax?: number
}

const IN_FLIGHT_MAX = 100_000
const ADDRESSES_MAX = 2_000
const COUNTERS_MAX = 1_000

/**
 * Which keys are in use here. It errs on one side only: a request whose end is not known counts as in flight until the
 * longest time has passed that a request may take, because "unused" is what a key is ended upon.
 */
export class Uses {
  readonly #options: Required<UsesOptions>
  readonly #startedAt: number
  readonly #keys = new Map<string, Counter>()
  /** In the order in which they began, so that the first are the first to be too old. */
  readonly #running = new Map<string, { keyId: string; beganAt: number }>()
  readonly #clients: LruMap<UseBy>
  readonly #knocks: LruMap<UseBy>
  #hearsStatus = false

  constructor(options: UsesOptions) {
    this.#options = { inFlightMax: IN_FLIGHT_MAX, addressesMax: ADDRESSES_MAX, ...options }
    this.#startedAt = options.now()
    this.#clients = new LruMap(this.#options.addressesMax)
    this.#knocks = new LruMap(this.#options.addressesMax)
  }

  get upMs(): number {
    return Math.round(this.#options.now() - this.#startedAt)
  }

  /** Requests with these keys may run since before this process began, and it will not know of them. */
  assume(keyIds: Iterable<string>): void {
    const until = this.#startedAt + this.#options.longestMs
    for (const keyId of keyIds) this.#counter(keyId).assumedUntil = until
  }

  began(request: string, keyId: string, address: string | undefined): void {
    const now = this.#options.now()
    const counter = this.#counter(keyId)
    counter.requests += 1
    counter.lastAt = now
    if (address !== undefined) this.#count(this.#clients, keyId, address, now)
    // The same request asked again: it is one, whatever it was before.
    this.#end(request)
    this.#running.set(request, { keyId, beganAt: now })
    counter.inFlight += 1
    if (this.#running.size > this.#options.inFlightMax) this.#forgetOldest()
  }

  /** Also of a request that is not known any more, because it took too long or began before us: it was a use until now. */
  ended(request: string, keyId: string | undefined, status?: number): void {
    this.#hearsStatus ||= status !== undefined
    const known = this.#end(request)
    // Of two who hear of it, the one who let it in counts it.
    if (known && status !== undefined && status >= 500) known.failures += 1
    const counter = known ?? (keyId === undefined ? undefined : this.#keys.get(keyId))
    if (counter) counter.lastAt = this.#options.now()
  }

  knocked(keyId: string, address: string): void {
    this.#count(this.#knocks, keyId, address, this.#options.now())
  }

  /** The keys that anything is known of: those that were used last. */
  counted(): string[] {
    return [...this.#keys.keys()]
  }

  /** What is known of these keys; one that was never used is there, too. */
  keys(keyIds: Iterable<string>): KeyUse[] {
    this.#dropTooOld()
    const now = this.#options.now()
    return [...keyIds].map((keyId) => {
      const counter = this.#keys.get(keyId)
      const failed = this.#hearsStatus ? { failures: counter?.failures ?? 0 } : {}
      if (!counter) return { keyId, inFlight: 0, lastUseAgeMs: null, requests: 0, ...failed }
      const { inFlight, assumedUntil, requests, lastAt } = counter
      const lastUseAgeMs = Number.isFinite(lastAt) ? Math.max(0, Math.round(now - lastAt)) : null
      return { keyId, inFlight: inFlight + (assumedUntil > now ? 1 : 0), lastUseAgeMs, requests, ...failed }
    })
  }

  clients = (): AddressUse[] => this.#rows(this.#clients)
  knocks = (): AddressUse[] => this.#rows(this.#knocks)

  #counter(keyId: string): Counter {
    let counter = this.#keys.get(keyId)
    if (!counter) {
      counter = { inFlight: 0, requests: 0, failures: 0, lastAt: -Infinity, assumedUntil: -Infinity }
      this.#keys.set(keyId, counter)
      if (this.#keys.size > COUNTERS_MAX) this.#forgetIdle()
    }
    return counter
  }

  #count(table: LruMap<UseBy>, keyId: string, address: string, now: number) {
    const key = `${keyId}@${address}`
    const row = table.get(key) ?? { keyId, address, requests: 0, lastAt: now }
    row.requests += 1
    row.lastAt = now
    table.set(key, row)
  }

  #rows(table: LruMap<UseBy>): AddressUse[] {
    const now = this.#options.now()
    return [...table.values()].map(({ keyId, address, requests, lastAt }) => ({
      keyId,
      address,
      requests,
      lastUseAgeMs: Math.max(0, Math.round(now - lastAt)),
    }))
  }

  #end(request: string): Counter | undefined {
    const running = this.#running.get(request)
    if (!running) return undefined
    this.#running.delete(request)
    const counter = this.#counter(running.keyId)
    counter.inFlight -= 1
    return counter
  }

  /** Keys come and go for years; what was not used for longest is what nobody asks about any more. */
  #forgetIdle(): void {
    const now = this.#options.now()
    // The one that was just made has not been used yet.
    const idle = [...this.#keys].filter(
      ([, { inFlight, assumedUntil, lastAt }]) => inFlight === 0 && assumedUntil <= now && lastAt > -Infinity,
    )
    const [oldest] = idle.toSorted(([, a], [, b]) => a.lastAt - b.lastAt)
    if (oldest) this.#keys.delete(oldest[0])
  }

  #forgetOldest(): void {
    const [oldest] = this.#running
    if (!oldest) return
    const [request, { beganAt }] = oldest
    const counter = this.#end(request)
    if (counter) counter.assumedUntil = Math.max(counter.assumedUntil, beganAt + this.#options.longestMs)
  }

  #dropTooOld(): void {
    const before = this.#options.now() - this.#options.longestMs
    for (const [request, { beganAt }] of this.#running) {
      if (beganAt > before) return
      this.#end(request)
    }
  }
}
