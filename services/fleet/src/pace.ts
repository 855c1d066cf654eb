/** A Vault answers a thousand reads a second and more: these are less than half a second's work for it. */
export const READING_MAX = 500

/** A node that says nothing for so long keeps nobody else waiting. It may still answer. */
const SILENT_MS = 10_000

/** What a store that struggles is asked at the least. */
const LEAST = 16
/** It gets this share less when it did not answer in time, once in so many milliseconds: one moment's trouble is told by many. */
const LESS = 0.7
const ONCE_MS = 1_000
/** And so much more with each answer. */
const MORE = 0.1

/**
 * How many nodes are told at once to read a value. All of a large wave together would be more than a store answers in time: each
 * would try again, and the store would never come up for air. So it is fewer while nodes say that it does not answer, and more
 * again as it does (additive increase, multiplicative decrease, as of RFC 5681).
 */
export class Pace {
  readonly #most: number
  readonly #silentMs: number
  /** Between `LEAST` and `#most`. */
  #max: number
  #slowedAt = Number.NEGATIVE_INFINITY
  /** What is waited for, by its key, until it is answered. */
  readonly #reading = new Map<string, NodeJS.Timeout>()
  /** In the order in which they came. */
  readonly #waiting = new Map<string, () => boolean>()

  constructor(max: number, silentMs = SILENT_MS) {
    this.#most = max
    this.#max = max
    this.#silentMs = silentMs
  }

  /** Calls `tell` when there is room, at once if there is. It takes the turn of what waits under the same key. */
  offer(key: string, tell: () => boolean): void {
    this.#waiting.set(key, tell)
    this.#next()
  }

  /** It has read what it was told to. */
  answered(key: string): void {
    this.#max = Math.min(this.#most, this.#max + MORE)
    this.free(key)
  }

  /** The store did not answer it in time. It tries again by itself, so it keeps its room. */
  struggled(): void {
    const now = performance.now()
    if (now - this.#slowedAt < ONCE_MS) return
    this.#slowedAt = now
    this.#max = Math.max(Math.min(LEAST, this.#most), this.#max * LESS)
  }

  /** It need not be told any more, or keeps nobody waiting. */
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
