import { Bell, type Logger, retrying } from '@rekey/runtime'
import type { Slots } from './slots.ts'

/** The ledger itself, as a worker asks it for what nobody woke it for. */
export type Direct = {
  /** At most `limit` effects that wait for `graceMs` without a lease, and in how many ms there may be others. */
  look(wanted: { graceMs: number; limit: number }): Promise<{ keys: string[]; nextMs: number | undefined }>
  /** Leases an effect and does it; does nothing where somebody else has it. */
  take(key: string): Promise<void>
  /** Told that effects were written, or may have been. */
  onNews(heard: () => void): { close(): Promise<void> }
}

/** How often to look at least: announcements may be lost, and a lease ends in silence. */
const POLL_MS = 1_000
/** How often to look at most, where a look finds less than could be worked on. */
const APART_MS = 50
/** News are of effects whose wake-ups are on their way: they are looked for when those should have come. */
const GRACE_MS = 500

/**
 * Takes due effects that nobody works on, for when no wake-up comes: Redis is away or was flushed, or the conductor is
 * dead. With all of them well, each look finds nothing and costs one short query.
 */
export function takeDirectly(direct: Direct, slots: Slots, logger: Logger): { close(): Promise<void> } {
  const ending = new AbortController()
  const bell = new Bell()
  let announced: NodeJS.Timeout | undefined
  const listener = direct.onNews(() => {
    announced ??= setTimeout(() => {
      announced = undefined
      bell.ring()
    }, GRACE_MS)
  })
  const work = async (key: string) => {
    try {
      await direct.take(key)
    } catch (error) {
      logger.warn({ effect: key, error }, 'an effect that was taken from the ledger failed')
    }
  }
  const looking = retrying(logger, 'look for due effects', ending.signal, async () => {
    let waitMs = POLL_MS
    const free = slots.free
    if (free > 0) {
      const { keys, nextMs } = await direct.look({ graceMs: GRACE_MS, limit: free })
      for (const key of keys) {
        logger.debug({ effect: key }, 'taken from the ledger')
        // There may be more than could be taken at once.
        void slots.run(() => work(key)).then(() => keys.length === free && bell.ring())
      }
      waitMs = Math.min(Math.max(nextMs ?? POLL_MS, APART_MS), POLL_MS)
    }
    await bell.wait(waitMs, ending.signal)
  })
  return {
    async close() {
      ending.abort()
      clearTimeout(announced)
      await Promise.all([looking, listener.close()])
    },
  }
}
