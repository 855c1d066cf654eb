import type { Lane } from '@rekey/ledger'
import type { SimLedger } from './ledger.ts'
import type { Process } from './process.ts'
import type { JobQueue } from './queue.ts'

const RESEND_MS = 2_000
const LEASE_MS = 5_000
const LOST_MS = 6_000
const POLL_MS = 1_000

/** Fires timers and sends wake-ups. Several may do so at once. */
export class Conductor {
  readonly process: Process
  readonly #ledger: SimLedger
  readonly #queue: JobQueue
  #wakesAt = Number.POSITIVE_INFINITY

  constructor(process: Process, ledger: SimLedger, queue: JobQueue) {
    this.process = process
    this.#ledger = ledger
    this.#queue = queue
    process.onRestart = () => this.#begin()
    this.#begin()
  }

  #begin(): void {
    this.#wakesAt = Number.POSITIVE_INFINITY
    this.wake(1)
  }

  /** Something was written, or will be due by then. */
  wake(ms: number): void {
    const at = this.process.ground.now + ms
    if (at >= this.#wakesAt || !this.process.isUp) return
    this.#wakesAt = at
    this.process.after(ms, () => {
      if (this.#wakesAt !== at) return undefined
      this.#wakesAt = Number.POSITIVE_INFINITY
      this.#work().catch(() => this.wake(POLL_MS))
      return this.process.ground.settle()
    })
  }

  async #work(): Promise<void> {
    const ledger = this.#ledger
    await ledger.loseSilent(LOST_MS)
    for (const lane of ['emergency', 'routine'] as const) {
      await ledger.fireTimers('conductor', { lane })
      await this.#relay(lane)
    }
    const timerMs = (await ledger.nextTimerMs()) ?? POLL_MS
    const workMs = this.#queue.isReady ? ((await ledger.nextWorkMs(RESEND_MS)) ?? POLL_MS) : POLL_MS
    this.wake(Math.min(POLL_MS, Math.max(10, Math.min(timerMs, workMs))))
  }

  async #relay(lane: Lane): Promise<void> {
    if (!this.#queue.isReady) return
    for (const { key, relays, kind, nodes } of await this.#ledger.takeWaiting(RESEND_MS, lane)) {
      if (kind === 'deliver') await this.#deliver(key, relays, nodes)
      else this.#queue.add('rotator', `${key}.${relays}`, { effect: key })
    }
  }

  async #deliver(key: string, relays: number, wanted: string[]): Promise<void> {
    const leased = await this.#ledger.lease(key, this.process.name, LEASE_MS)
    if (!leased) return
    await this.process.moment('deliver', 'leased')
    for (const [instance, nodes] of await this.#ledger.instancesOf(wanted))
      this.#queue.add(`fleet-${instance}`, `${key}.${relays}.${instance}`, { effect: key, nodes })
    await this.process.moment('deliver', 'acted')
    await this.#ledger.complete(leased, { kind: 'deliver' }, this.process.name)
    await this.process.moment('deliver', 'recorded')
  }
}
