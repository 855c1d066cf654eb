import { setTimeout as delay } from 'node:timers/promises'
import { Series, type Summary } from '../series.ts'

/** Of a stretch of time. */
export type Lap = Summary & { failed: number }

/** One that is refused at once would only keep the machine busy. */
const AFTER_FAILURE_MS = 5

/** Clients that ask without a pause, one request each at a time. */
export function startAskers(count: number, ask: (client: number) => Promise<boolean>) {
  let series = new Series()
  let failed = 0
  let isOver = false
  /** When the last answered one of each client was sent. */
  const sentAt = Array.from({ length: count }, () => 0)
  const running = sentAt.map(async (_, client) => {
    while (!isOver) {
      const askedAt = performance.now()
      const ok = await ask(client)
      series.add(performance.now() - askedAt)
      sentAt[client] = askedAt
      if (ok) continue
      failed += 1
      await delay(AFTER_FAILURE_MS)
    }
  })
  return {
    /** Since the last lap. */
    lap(): Lap {
      const lap = { ...series.summary(), failed }
      series = new Series()
      failed = 0
      return lap
    },
    /** Until whatever was on its way is answered, and something of each that was sent since. */
    async answered(): Promise<void> {
      const now = performance.now()
      while (sentAt.some((at) => at < now)) await delay(5)
    },
    async stop(): Promise<void> {
      isOver = true
      await Promise.all(running)
    },
  }
}
