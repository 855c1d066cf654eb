export type BatchOptions<T> = {
  flushMs: number
  itemsMax: number
  write: (items: T[]) => Promise<void>
  /** Pauses between tries; none: what comes next says the same and more. */
  retryMs: readonly number[]
  onLost: (error: unknown) => void
}

/** Writes what comes within `flushMs` together, at most `itemsMax` at once, one write after the other: as `fleet` does. */
export class Batch<T> {
  readonly #options: BatchOptions<T>
  #waiting: T[] = []
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined

  constructor(options: BatchOptions<T>) {
    this.#options = options
  }

  add(item: T): void {
    this.#waiting.push(item)
    if (this.#waiting.length >= this.#options.itemsMax) void this.flush()
    else this.#timer ??= setTimeout(() => void this.flush(), this.#options.flushMs)
  }

  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const items = this.#waiting.slice(0, this.#options.itemsMax)
      this.#waiting = this.#waiting.slice(this.#options.itemsMax)
      await this.#attempt(items)
    }
  }

  async #attempt(items: T[]): Promise<void> {
    const { write, retryMs, onLost } = this.#options
    for (let tries = 0; ; tries++) {
      try {
        return await write(items)
      } catch (error) {
        const pause = retryMs[tries]
        if (pause === undefined) return onLost(error)
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    }
  }
}
