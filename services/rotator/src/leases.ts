import type { Leased, Ledger } from '@rekey/ledger'
import type { Logger } from '@rekey/runtime'

/** Calls end before the lease does, so that nobody else can hold it while they may still act. */
const SAFETY = 0.8

/** An effect that this process may act on now. */
export type Taken = {
  leased: Leased
  /** Ends every call: the lease could not be renewed in time, or the attempt took too long. */
  signal: AbortSignal
  /** The lease was not renewed in time: another worker has the effect now, or soon. */
  readonly isLost: boolean
  /** The outcome is recorded, or nobody will record it: no renewal from now on. */
  release(): void
}

export type LeasesOptions = {
  ledger: Pick<Ledger, 'lease' | 'renew'>
  logger: Pick<Logger, 'warn' | 'info'>
  /** Who holds the leases. */
  worker: string
  leaseMs: number
  /** The longest that one attempt may act, however often its lease is renewed. */
  actMs: number
}

/**
 * The effects that this process acts on. Leases are short, so that a killed worker's effects come back soon, and are
 * renewed about every third of their length, all in one statement.
 *
 * Each is counted on our own monotonic clock from before the call that gave or renewed it, so our count can only end
 * before the database's.
 */
export class Leases {
  readonly #options: LeasesOptions
  readonly #held = new Set<Held>()
  readonly #beat: NodeJS.Timeout
  #failures = 0

  constructor(options: LeasesOptions) {
    this.#options = options
    this.#beat = setInterval(() => void this.#renew(), options.leaseMs / 3)
    this.#beat.unref()
  }

  /** Undefined: done, taken by another, not due, or too late to act on. */
  async take(key: string): Promise<Taken | undefined> {
    const { ledger, logger, worker, leaseMs, actMs } = this.#options
    const startedAt = performance.now()
    const leased = await ledger.lease(key, worker, leaseMs)
    if (!leased) return undefined
    const held = new Held(leased, { actMs, onEnd: () => this.#held.delete(held) })
    this.#held.add(held)
    held.lastUntil(startedAt + leaseMs * SAFETY)
    // A ledger that took its time has left us little of it.
    if (performance.now() - startedAt > leaseMs / 3) await this.#renew()
    if (!held.isLost) return held
    // Not counted as a failure of the effect: it was not tried, and comes back when the lease ends.
    logger.warn({ effect: key, leaseMs }, 'the ledger answered too late to act within the lease')
    held.release()
    return undefined
  }

  close(): void {
    clearInterval(this.#beat)
  }

  async #renew(): Promise<void> {
    if (this.#held.size === 0) return
    const { ledger, logger, leaseMs } = this.#options
    const startedAt = performance.now()
    const asked = new Map([...this.#held].map((held) => [held.leased.effect.key, held]))
    try {
      const renewed = await ledger.renew(
        [...asked].map(([key, { leased }]) => ({ key, attempt: leased.attempt })),
        leaseMs,
      )
      for (const key of renewed) asked.get(key)?.lastUntil(startedAt + leaseMs * SAFETY)
      if (this.#failures > 0) logger.info({ failures: this.#failures }, 'leases are renewed again')
      this.#failures = 0
    } catch (error) {
      // Told once: with the ledger away this fails until it is back.
      if (this.#failures++ === 0) logger.warn({ error, effects: asked.size }, 'leases could not be renewed')
    }
  }
}

class Held implements Taken {
  readonly leased: Leased
  readonly signal: AbortSignal
  readonly #controller = new AbortController()
  readonly #cap: NodeJS.Timeout
  readonly #onEnd: () => void
  #until = Number.NEGATIVE_INFINITY
  #lease: NodeJS.Timeout | undefined

  constructor(leased: Leased, { actMs, onEnd }: { actMs: number; onEnd: () => void }) {
    this.leased = leased
    this.signal = this.#controller.signal
    this.#onEnd = onEnd
    this.#cap = setTimeout(() => this.#end('the attempt took too long'), actMs)
  }

  /** Asks the clock: in a process that was paused, answers are heard before the timers that were due. */
  get isLost(): boolean {
    return performance.now() >= this.#until
  }

  /** Never sooner than was said before: renewals may answer out of order. */
  lastUntil(at: number): void {
    if (this.signal.aborted || at <= this.#until) return
    this.#until = at
    clearTimeout(this.#lease)
    this.#lease = setTimeout(
      () => this.#end('the lease could not be renewed in time'),
      Math.max(0, at - performance.now()),
    )
  }

  release(): void {
    clearTimeout(this.#cap)
    clearTimeout(this.#lease)
    this.#onEnd()
  }

  #end(why: string): void {
    this.release()
    this.#controller.abort(new DOMException(why, 'TimeoutError'))
  }
}
