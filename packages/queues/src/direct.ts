import { Bell, type Logger, retrying } from '@rekey/runtime'
import { LANES, type Lane } from './lane.ts'
import type { Slots } from './slots.ts'

/** The ledger itself, as a worker asks it for what nobody woke it for. */
export type Direct = {
  /**
   * At most `limit` effects of a lane that wait for `graceMs` without a lease, and in how many ms there may be others.
   */
  look(wanted: {
    lane: Lane
    graceMs: number
    limit: number
  }): Promise<{ keys: string[]; nextMs: number | undefined }>
  /** Leases an effect and does it; does nothing where somebody else has it. */
  take(key: string, lane: Lane): Promise<void>
  /** Told that effects of a lane were written, or may have been. */
  onNews(heard: (lane: Lane) => void): { close(): Promise<void> }
}

/** How often to look at least: announcements may be lost, and a lease ends in silence. */
const POLL_MS = 1_000
/** How often to look at most, where a look finds less than could be worked on. */
const APART_MS = 50
/** News are of effects whose wake-ups are on their way: they are looked for when those should have come. */
const GRACE_MS = 500
/** News of an emergency come with each of its steps; where there are none for so long, it waits for something else. */
const STAND_BACK_MS = 500

/**
 * Takes due effects that nobody works on, for when no wake-up comes: Redis is away or was flushed, or the conductor is
 * dead. With all of them well, each look finds nothing and costs one short query. Each lane has looks of its own: one
 * that finds much is behind for as long.
 */
export function takeDirectly(direct: Direct, slots: Slots, logger: Logger): { close(): Promise<void> } {
  const ending = new AbortController()
  const bells: Record<Lane, Bell> = { emergency: new Bell(), routine: new Bell() }
  let announced: NodeJS.Timeout | undefined
  const listener = direct.onNews((lane) => {
    if (lane === 'emergency') slots.standBack(STAND_BACK_MS)
    announced ??= setTimeout(() => {
      announced = undefined
      for (const lane of LANES) bells[lane].ring()
    }, GRACE_MS)
  })
  const work = async (key: string, lane: Lane) => {
    try {
      await direct.take(key, lane)
    } catch (error) {
      logger.warn({ effect: key, error }, 'an effect that was taken from the ledger failed')
    }
  }
  const look = (lane: Lane) =>
    retrying(logger, `look for due effects (${lane})`, ending.signal, async () => {
      let waitMs = POLL_MS
      const free = slots.free(lane)
      if (free > 0) {
        const { keys, nextMs } = await direct.look({ lane, graceMs: GRACE_MS, limit: free })
        for (const key of keys) {
          logger.debug({ effect: key }, 'taken from the ledger')
          // There may be more than could be taken at once.
          void slots.run(lane, () => work(key, lane)).then(() => keys.length === free && bells[lane].ring())
        }
        waitMs = Math.min(Math.max(nextMs ?? POLL_MS, APART_MS), POLL_MS)
      }
      await bells[lane].wait(waitMs, ending.signal)
    })
  const looking = LANES.map(look)
  return {
    async close() {
      ending.abort()
      clearTimeout(announced)
      await Promise.all([...looking, listener.close()])
    },
  }
}
