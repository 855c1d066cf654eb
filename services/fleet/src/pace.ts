/** A Vault answers a thousand reads a second and more: these are less than half a second's work for it. */
export const READING_MAX = 500

/** A node that says nothing for so long keeps nobody else waiting. It may still answer. */
const SILENT_MS = 10_000

/**
 * How many nodes are told at once to read a value. All of a large wave together would be more than a store answers in time: each
 * would try again, and the store would never come up for air.
 */
export class Pace {
  readonly #max: number
  readonly #silentMs: number
  /** What is waited for, by its key, until it is answered. */
  readonly #reading = new Map<string, NodeJS.Timeout>()
  /** In the order in which they came. */
  readonly #waiting = new Map<string, () => boolean>()

  constructor(max: number, silentMs = SILENT_MS) {
    this.#max = max
    this.#silentMs = silentMs
  }

  /** Calls `tell` when there is room, at once if there is. It takes the turn of what waits under the same key. */
  offer(key: string, tell: () => boolean): void {
    this.#waiting.set(key, tell)
    this.#next()
  }

  /** It has answered, or need not be told any more. */
  free(key: string): void {
    this.#waiting.delete(key)
    clearTimeout(this.#reading.get(key))
    if (this.#reading.delete(key)) this.#next()
  }

  #next(): void {
    for (const [key, tell] of this.#waiting) {
      // One that reads still is told the news at once: it takes no more room than it has.
      if (this.#reading.size >= this.#max && !this.#reading.has(key)) return
      this.#waiting.delete(key)
      if (!tell()) continue
      clearTimeout(this.#reading.get(key))
      const timer = setTimeout(() => this.free(key), this.#silentMs)
      timer.unref()
      this.#reading.set(key, timer)
    }
  }
}
