import type { Who } from './reading.ts'

const ENTRIES_MAX = 10_000

/**
 * Events that this process has seen judged. Only a hint that a record is a repeat, by which work is arranged; whether
 * it is one says the ledger alone.
 */
export class Recent {
  readonly #keys = new Set<string>()

  has(who: Who): boolean {
    return this.#keys.has(keyOf(who))
  }

  add(who: Who): void {
    this.#keys.add(keyOf(who))
    if (this.#keys.size <= ENTRIES_MAX) return
    const [oldest] = this.#keys
    if (oldest !== undefined) this.#keys.delete(oldest)
  }
}

function keyOf({ source, id, digest }: Who): string {
  return JSON.stringify([source, id, digest])
}
