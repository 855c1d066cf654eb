/** How many effects a process works on at once, however it came to know of them. */
export class Slots {
  #free: number
  readonly #all: number
  readonly #queue: (() => void)[] = []
  #idle: (() => void) | undefined

  constructor(slots: number) {
    this.#all = slots
    this.#free = slots
  }

  get free(): number {
    return this.#free
  }

  /** Waits for a free slot, works, and gives it back. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#queue.push(resolve))
    try {
      return await work()
    } finally {
      // Handed on as it is, so that nobody takes it in between.
      const next = this.#queue.shift()
      if (next) next()
      else this.#free++
      if (this.#free === this.#all) this.#idle?.()
    }
  }

  /** Resolves when nothing is being worked on. */
  async untilIdle(): Promise<void> {
    if (this.#free < this.#all)
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
  }
}
