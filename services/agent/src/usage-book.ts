import { LAST_USE_AGE_MAX_MS, type Usage } from '@rekey/contracts'
import { type Counts, NONE, sum } from './counts.ts'

type Page = {
  /** What software counted that has restarted since. */
  before: Counts
  last: Counts
  /** The software counts failures. */
  countsFailures: boolean
  /** Monotonic time of the last known use. */
  lastUseAt: number | undefined
  /** When this agent first gave the generation to the software; undefined: before this agent started. */
  givenAt: number | undefined
}

/**
 * Counters of the serving software, made safe to act on. The software forgets at its restart and then says "never
 * used", which is the very evidence a retirement waits for; so the book remembers, and where it cannot know, it
 * says the latest time that is possible.
 */
export class UsageBook {
  readonly #pages = new Map<number, Page>()
  #countingSince: number | undefined

  /** Tells the book which generations the software was given, and whether that happened only now. */
  given(generations: number[], nowMs: number, fromJournal: boolean): void {
    for (const generation of generations) {
      if (this.#pages.has(generation)) continue
      const givenAt = fromJournal ? undefined : nowMs
      const page = { before: NONE, last: NONE, countsFailures: false, lastUseAt: undefined, givenAt }
      this.#pages.set(generation, page)
    }
  }

  /** Removes the pages that nobody asks about any more. */
  keepOnly(generations: Set<number>): void {
    for (const generation of this.#pages.keys()) {
      if (!generations.has(generation)) this.#pages.delete(generation)
    }
  }

  merge(readings: Usage[], nowMs: number, countingAgeMs: number | undefined): Usage[] {
    const since = countingAgeMs === undefined ? undefined : nowMs - countingAgeMs
    // Uptime has a grain of one second, so a smaller move is no restart.
    const restarted =
      since !== undefined && this.#countingSince !== undefined && since > this.#countingSince + 1_500
    if (since !== undefined && (restarted || this.#countingSince === undefined)) this.#countingSince = since

    const byGeneration = new Map(readings.map((r) => [r.generation, r]))
    for (const generation of byGeneration.keys()) this.given([generation], nowMs, true)

    const merged: Usage[] = []
    for (const [generation, page] of this.#pages) {
      const reading = byGeneration.get(generation)
      const { requests = 0, failures = 0 } = reading ?? {}
      page.countsFailures ||= reading?.failures !== undefined
      const isAnew = requests < page.last.requests
      if (isAnew) {
        page.before = sum(page.before, page.last)
        page.last = NONE
      }
      if (restarted || isAnew) {
        if (since !== undefined) page.lastUseAt = Math.max(page.lastUseAt ?? since, since)
      }
      page.last = {
        requests: Math.max(page.last.requests, requests),
        failures: Math.max(page.last.failures, failures),
      }
      const inFlight = reading?.inFlight ?? 0
      // HAProxy stamps the start of a request, so a long one would look old at its end.
      if (inFlight > 0) page.lastUseAt = nowMs
      if (reading && reading.lastUseAgeMs !== null) {
        page.lastUseAt = Math.max(page.lastUseAt ?? -Infinity, nowMs - reading.lastUseAgeMs)
      }
      if (page.lastUseAt === undefined && since !== undefined && (page.givenAt ?? -Infinity) < since) {
        page.lastUseAt = since
      }
      const age = page.lastUseAt === undefined ? null : Math.max(0, Math.round(nowMs - page.lastUseAt))
      merged.push({
        generation,
        inFlight,
        lastUseAgeMs: age === null ? null : Math.min(age, LAST_USE_AGE_MAX_MS),
        requests: page.before.requests + page.last.requests,
        ...(page.countsFailures && { failures: page.before.failures + page.last.failures }),
      })
    }
    return merged.toSorted((a, b) => a.generation - b.generation)
  }
}
