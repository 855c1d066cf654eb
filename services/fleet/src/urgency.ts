import { Bell, type Logger, retrying } from '@rekey/runtime'
import type { Delivery } from './delivery.ts'

/** Announcements may be lost; wake-ups and reconciliation are there for that too. */
const LOOK_MS = 1_000

/** Looks for emergencies whenever the ledger announces something, so that they wait for no queue. */
export function heedUrgency(options: {
  delivery: Pick<Delivery, 'hurry'>
  onNews: (heard: () => void) => { close(): Promise<void> }
  logger: Logger
}): { close(): Promise<void> } {
  const { delivery, onNews, logger } = options
  const ending = new AbortController()
  const bell = new Bell()
  const listener = onNews(() => bell.ring())
  const running = retrying(logger, 'look for emergencies', ending.signal, async () => {
    await bell.wait(LOOK_MS, ending.signal)
    if (!ending.signal.aborted) await delivery.hurry()
  })
  return {
    async close() {
      ending.abort()
      await Promise.all([running, listener.close()])
    },
  }
}
