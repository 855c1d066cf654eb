import { RekeyError } from '@rekey/contracts'
import type { Leased, Ledger } from '@rekey/ledger'
import type { Logger } from '@rekey/runtime'
import { act, type Hands } from './act.ts'

/** Calls end before the lease does, so that nobody else can hold it while they may still act. */
const SAFETY = 0.8

export type WorkOptions = {
  ledger: Ledger
  logger: Logger
  /** Who holds the lease. */
  worker: string
  leaseMs: number
  hands: (leased: Leased) => Hands
}

/** Takes the effect's lease, acts within it, and records the outcome. A job for a finished effect is a no-op. */
export async function work(
  key: string,
  { ledger, logger, worker, leaseMs, hands }: WorkOptions,
): Promise<void> {
  // Our own monotonic clock starts before the lease's: it can only end earlier.
  const signal = AbortSignal.timeout(leaseMs * SAFETY)
  const leased = await ledger.lease(key, worker, leaseMs)
  if (!leased) {
    logger.debug({ effect: key }, 'effect is done or taken')
    return
  }
  const about = { effect: key, attempt: leased.attempt, rotation: leased.rotation.id }
  try {
    const result = await act(leased, hands(leased), { key, signal })
    const recorded = await ledger.complete(leased, result, worker)
    logger.info({ ...about, recorded }, 'effect done')
  } catch (error) {
    logger.warn({ ...about, error }, 'effect failed')
    // A fault of ours is counted like any other failure, so that somebody hears of it. With the ledger away this
    // throws too, and the lease's end brings the effect back.
    const failure = RekeyError.is(error)
      ? error
      : new RekeyError('bad_response', 'an unexpected fault; see the log')
    await ledger.fail(leased, failure, worker)
  }
}
