import { TokenBucket } from './token-bucket.ts'

/**
 * How long so many rotations take in simulated time, where each needs a token of a store's quota on its way and
 * otherwise lasts as long as one that was measured. `parallel` are under way at once, as they were then. In seconds.
 */
export function withQuota(options: {
  rotations: number
  parallel: number
  /** Measured, in milliseconds. */
  times: readonly number[]
  /** None: what was measured, as the simulation sees it. */
  perS?: number
}): number {
  const { rotations, parallel, times, perS } = options
  const bucket = perS === undefined ? undefined : new TokenBucket({ perS, burst: perS })
  const free = new Heap(Array.from({ length: Math.min(parallel, rotations) }, () => 0))
  let endMs = 0
  for (let i = 0; i < rotations; i++) {
    const startMs = free.least
    const goesOnMs = bucket ? bucket.reserve(startMs) : startMs
    const doneMs = goesOnMs + (times[i % times.length] ?? 0)
    free.replaceLeast(doneMs)
    endMs = Math.max(endMs, doneMs)
  }
  return endMs / 1_000
}

/** Numbers, the least first. */
class Heap {
  readonly #items: number[]

  /** All alike. */
  constructor(items: number[]) {
    this.#items = items
  }

  get least(): number {
    return this.#items[0] ?? 0
  }

  replaceLeast(by: number): void {
    const items = this.#items
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const right = left + 1
      const child =
        (items[right] ?? Number.POSITIVE_INFINITY) < (items[left] ?? Number.POSITIVE_INFINITY) ? right : left
      const below = items[child]
      if (below === undefined || below >= by) break
      items[at] = below
      at = child
    }
    items[at] = by
  }
}
