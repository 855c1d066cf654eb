import type { Usage } from '@rekey/contracts'

/** A hand-out counts for so much longer at most, so that there are few numbers to keep. */
const PARTS = 60
const GENERATIONS_MAX = 16

type Page = {
  /** Until when how many of them may be used. Oldest first. */
  open: { untilMs: number; count: number }[]
  handedOut: number
  lastUntilMs: number
}

/**
 * Who was given a key may use it until the end that it was told, and says nothing when it stops earlier. So a generation is in use for as
 * long as one of its hand-outs has not ended; after that, its last use was then.
 */
export class HandOuts {
  readonly #ttlMs: number
  readonly #pages = new Map<number, Page>()

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs
  }

  note(generation: number, nowMs: number): void {
    const page = this.#pages.get(generation) ?? { open: [], handedOut: 0, lastUntilMs: 0 }
    this.#pages.delete(generation)
    this.#pages.set(generation, page)
    const grain = this.#ttlMs / PARTS
    page.lastUntilMs = nowMs + this.#ttlMs
    page.handedOut += 1
    const untilMs = Math.ceil(page.lastUntilMs / grain) * grain
    const last = page.open.at(-1)
    if (last?.untilMs === untilMs) last.count += 1
    else page.open.push({ untilMs, count: 1 })
    this.#end(page, nowMs)
    const [oldest] = this.#pages.keys()
    if (this.#pages.size > GENERATIONS_MAX && oldest !== undefined) this.#pages.delete(oldest)
  }

  usage(nowMs: number): Usage[] {
    return [...this.#pages].map(([generation, page]) => {
      this.#end(page, nowMs)
      return {
        generation,
        inFlight: page.open.reduce((sum, { count }) => sum + count, 0),
        lastUseAgeMs: Math.max(0, nowMs - page.lastUntilMs),
        requests: page.handedOut,
      }
    })
  }

  #end(page: Page, nowMs: number): void {
    while (page.open[0] && page.open[0].untilMs <= nowMs) page.open.shift()
  }
}
