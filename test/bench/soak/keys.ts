import { setTimeout as delay } from 'node:timers/promises'

/** What a client presents, and what it was read as. */
export type Key = { value: string; generation: number }

const AGAIN_MS = 50

/**
 * A client's key, read from the store again and again. It is presented for at most `cacheMs` from when it was asked for, and what
 * is due while there is no such key waits, as in a client that reads the store before it asks.
 */
export class KeptKey {
  readonly #read: () => Promise<Key | undefined>
  readonly #cacheMs: number
  readonly #refreshMs: number
  #kept: Key | undefined
  #readAt = Number.NEGATIVE_INFINITY
  #waiting: ((key: Key) => void)[] = []
  #isOver = false
  /** How often something had to wait for the store. */
  waits = 0

  constructor(read: () => Promise<Key | undefined>, cacheMs: number, refreshMs: number) {
    this.#read = read
    this.#cacheMs = cacheMs
    this.#refreshMs = refreshMs
  }

  /** At once where the kept one is young enough. */
  use(present: (key: Key) => void): void {
    if (this.#kept && performance.now() - this.#readAt < this.#cacheMs) {
      present(this.#kept)
      return
    }
    this.waits += 1
    this.#waiting.push(present)
  }

  async keep(): Promise<void> {
    while (!this.#isOver) {
      const askedAt = performance.now()
      const read = await this.#read().catch(() => undefined)
      if (read) {
        this.#kept = read
        this.#readAt = askedAt
        for (const present of this.#waiting.splice(0)) present(read)
      }
      await delay(read ? Math.max(0, this.#refreshMs - (performance.now() - askedAt)) : AGAIN_MS)
    }
  }

  stop(): void {
    this.#isOver = true
  }
}
