import type { Lane } from './lane.ts'

export type SlotsOptions = {
  /** What everybody may use. */
  shared: number
  /** What only emergencies may use, beside the shared ones. */
  reserved: number
}

/** What is left to routine work while it stands back. */
const STOOD_BACK = 1

/**
 * How many effects a process works on at once, however it came to know of them. Emergencies use the reserved slots, then
 * the shared ones, and whoever of them waits is the next: routine work cannot make them wait for more than each other.
 *
 * Slots are not all that is shared: where an emergency is under way, the processors, the database's log and its disk are
 * left to it too, by letting routine work begin one after the other.
 */
export class Slots {
  readonly #options: SlotsOptions
  readonly #busy: Record<Lane, number> = { emergency: 0, routine: 0 }
  readonly #queues: Record<Lane, (() => void)[]> = { emergency: [], routine: [] }
  #idle: (() => void) | undefined
  /** On the monotonic clock: until then routine work stands back. */
  #calmAt = 0
  #calm: NodeJS.Timeout | undefined

  constructor(options: SlotsOptions) {
    this.#options = options
  }

  /** How many more of this lane could begin now. */
  free(lane: Lane): number {
    const { shared, reserved } = this.#options
    const { emergency, routine } = this.#busy
    if (lane === 'emergency') return shared + reserved - emergency - routine
    const allowed = performance.now() < this.#calmAt ? Math.min(shared, STOOD_BACK) : shared
    return Math.max(0, allowed - routine - Math.max(0, emergency - reserved))
  }

  /** An emergency is under way, here or elsewhere: for so long routine work uses one slot. What it has begun goes on. */
  standBack(ms: number): void {
    this.#calmAt = performance.now() + ms
    this.#calm ??= setTimeout(() => this.#letAllIn(), ms)
  }

  #letAllIn(): void {
    const leftMs = this.#calmAt - performance.now()
    this.#calm = leftMs > 0 ? setTimeout(() => this.#letAllIn(), leftMs) : undefined
    while (!this.#calm && this.#letIn('routine'));
  }

  /** Waits for a free slot, works, and gives it back. */
  async run<T>(lane: Lane, work: () => Promise<T>): Promise<T> {
    // Counted by whoever lets it in, so that nobody takes the slot in between.
    if (this.free(lane) > 0) this.#busy[lane]++
    else await new Promise<void>((resolve) => this.#queues[lane].push(resolve))
    try {
      return await work()
    } finally {
      this.#busy[lane]--
      this.#letIn('emergency')
      this.#letIn('routine')
      if (this.#busy.emergency + this.#busy.routine === 0) this.#idle?.()
    }
  }

  #letIn(lane: Lane): boolean {
    const next = this.free(lane) > 0 ? this.#queues[lane].shift() : undefined
    if (!next) return false
    this.#busy[lane]++
    next()
    return true
  }

  /** Resolves when nothing is being worked on. */
  async untilIdle(): Promise<void> {
    if (this.#busy.emergency + this.#busy.routine > 0)
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
  }
}
