import type { UsesReport } from '../../authorizer/admin.ts'
import { type Counts, NONE, sum } from '../../counts.ts'

/** What one authorizer has counted in all, over its restarts: as long as this agent runs. */
export class Totals {
  #upMs = 0
  #before = new Map<string, Counts>()
  #last = new Map<string, Counts>()

  of({ upMs, keys }: UsesReport): UsesReport['keys'] {
    if (upMs < this.#upMs) {
      for (const [keyId, last] of this.#last)
        this.#before.set(keyId, sum(this.#before.get(keyId) ?? NONE, last))
      this.#last.clear()
    }
    this.#upMs = upMs
    return keys.map((key) => {
      const { keyId, requests, failures } = key
      this.#last.set(keyId, { requests, failures: failures ?? 0 })
      const total = sum(this.#before.get(keyId) ?? NONE, { requests, failures: failures ?? 0 })
      return { ...key, requests: total.requests, ...(failures !== undefined && { failures: total.failures }) }
    })
  }
}
