import type { SimLedger, WorkLedger } from './ledger.ts'
import type { Process } from './process.ts'
import { type Hands, type Leases, type Taken, type WorkOptions, work } from './rotator-code.ts'

export type Leased = Taken['leased']

const LEASE_MS = 1_500
const SAFETY = 0.8
const ACT_MS = 15_000
const CONCURRENCY = 4
const POLL_MS = 1_000
const GRACE_MS = 500

const silent = new Proxy({}, { get: () => () => undefined }) as WorkOptions['logger']

export type RotatorOptions = {
  process: Process
  /** Its number, as faults name it. */
  index: number
  ledger: SimLedger
  hands: (leased: Leased, process: Process) => Hands
  /** Told of each outcome before it is said to the ledger; what it returns hears the answer. */
  onOutcome: (leased: Leased) => (recorded: 'recorded' | 'late') => void
}

/** The real `work` and `act`, in a process that can be killed and stopped, with leases on a clock of its own. */
export class Rotator {
  readonly process: Process
  readonly #options: RotatorOptions
  #held = new Set<Held>()
  #running = 0
  #queued: string[] = []

  constructor(options: RotatorOptions) {
    this.#options = options
    this.process = options.process
    this.process.onRestart = () => this.#begin()
    this.#begin()
  }

  #begin(): void {
    this.#held = new Set()
    this.#running = 0
    this.#queued = []
    this.process.after(POLL_MS, () => this.#poll())
    this.process.after(this.#mine(LEASE_MS / 3), () => this.#beat())
  }

  /** A stretch of this process's own clock, as simulated time. */
  #mine(ms: number): number {
    const { ground } = this.process
    const rate = ground.hit('worker-clock', (fault) => fault.worker === this.#options.index)?.rate ?? 1
    return Math.ceil(ms / rate)
  }

  wake(key: string): void {
    this.process.after(0, () => {
      if (this.#running >= CONCURRENCY) {
        if (!this.#queued.includes(key)) this.#queued.push(key)
        return undefined
      }
      void this.#run(key)
      return this.process.ground.settle()
    })
  }

  async #run(key: string): Promise<void> {
    const { life } = this.process
    this.#running++
    const { ledger, hands } = this.#options
    const recorder: WorkLedger = {
      complete: (leased, result, by) => {
        const { kind } = leased.effect
        return this.process
          .moment(kind, 'acted')
          .then(() => this.#ask(() => this.#watched(leased, () => ledger.complete(leased, result, by))))
          .then((recorded) => this.process.moment(kind, 'recorded').then(() => recorded))
      },
      fail: (leased, error, by) =>
        this.#ask(() => this.#watched(leased, () => ledger.fail(leased, error, by))),
    }
    const leases = { take: (wanted: string) => this.#take(wanted) } as Leases
    try {
      await work(key, {
        ledger: recorder,
        leases,
        logger: silent,
        worker: this.process.name,
        said: new Set(),
        hands: (leased) => hands(leased, this.process),
      })
    } catch {
      // The ledger was away: the lease's end brings the effect back.
    }
    if (this.process.life !== life) return
    this.#running--
    const next = this.#queued.shift()
    if (next !== undefined) this.wake(next)
  }

  async #watched(leased: Leased, say: () => Promise<'recorded' | 'late'>): Promise<'recorded' | 'late'> {
    const hear = this.#options.onOutcome(leased)
    const recorded = await say()
    hear(recorded)
    return recorded
  }

  /** A call to the ledger takes time, and may fail before or after it took effect. */
  async #ask<T>(call: () => Promise<T>): Promise<T> {
    const { ground } = this.process
    const isMe = (fault: { worker: number }) => fault.worker === this.#options.index
    await this.process.sleep(ground.random.between(1, 4))
    if (ground.hit('ledger-away', isMe)) throw new Error('the ledger is away')
    const answer = await call()
    await this.process.sleep(ground.random.between(1, 4))
    if (ground.random.chance(0.5) && ground.hit('ledger-ambiguous', isMe)) throw new Error('no answer')
    return answer
  }

  async #take(key: string): Promise<Taken | undefined> {
    const { ground } = this.process
    const startedAt = ground.now
    const { ledger } = this.#options
    const leased = await this.#ask(() => ledger.lease(key, this.process.name, LEASE_MS))
    if (!leased) return undefined
    ground.note('leased', key, leased.attempt, this.process.name)
    const held = new Held(leased as unknown as Leased, this.process, () => this.#held.delete(held))
    this.#held.add(held)
    held.lastUntil(startedAt + this.#mine(LEASE_MS * SAFETY))
    this.process.after(this.#mine(ACT_MS), () => {
      held.end(false)
      return ground.settle()
    })
    await this.process.moment(leased.effect.kind, 'leased')
    if (!held.isOver) return held
    held.release()
    return undefined
  }

  #beat(): Promise<void> | undefined {
    this.process.after(this.#mine(LEASE_MS / 3), () => this.#beat())
    if (this.#held.size === 0) return undefined
    void this.#renew()
    return this.process.ground.settle()
  }

  async #renew(): Promise<void> {
    const { ledger } = this.#options
    const startedAt = this.process.ground.now
    const asked = new Map([...this.#held].map((held) => [held.leased.effect.key, held]))
    const attempts = [...asked].map(([key, { leased }]) => ({ key, attempt: leased.attempt }))
    try {
      for (const key of await this.#ask(() => ledger.renew(attempts, LEASE_MS)))
        asked.get(key)?.lastUntil(startedAt + this.#mine(LEASE_MS * SAFETY))
    } catch {
      // The next beat asks again.
    }
  }

  /** Takes from the ledger what nobody woke it for. */
  async #poll(): Promise<void> {
    this.process.after(POLL_MS, () => this.#poll())
    const limit = CONCURRENCY - this.#running
    if (limit <= 0) return
    const { keys } = await this.#options.ledger.unattended({ worker: 'rotator', graceMs: GRACE_MS, limit })
    for (const key of keys) this.wake(key)
  }
}

class Held implements Taken {
  readonly leased: Leased
  isLost = false
  readonly #controller = new AbortController()
  readonly #process: Process
  readonly #onEnd: () => void
  #until = 0
  #isReleased = false

  constructor(leased: Leased, process: Process, onEnd: () => void) {
    this.leased = leased
    this.#process = process
    this.#onEnd = onEnd
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get isOver(): boolean {
    return this.signal.aborted || this.#process.ground.now >= this.#until
  }

  lastUntil(at: number): void {
    if (this.#isReleased || at <= this.#until) return
    this.#until = at
    this.#process.after(at - this.#process.ground.now, () => {
      if (this.#isReleased || this.#until > at) return undefined
      this.end(true)
      return this.#process.ground.settle()
    })
  }

  end(isLost: boolean): void {
    if (this.#isReleased) return
    this.isLost = isLost
    this.release()
    this.#controller.abort()
  }

  release(): void {
    this.#isReleased = true
    this.#onEnd()
  }
}
