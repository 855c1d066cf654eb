import { RekeyError } from '@rekey/contracts'
import type { Leased, Ledger } from '@rekey/ledger'
import type { Logger } from '@rekey/runtime'
import { act, type Hands } from './act.ts'
import type { Leases } from './leases.ts'

export type WorkOptions = {
  ledger: Pick<Ledger, 'complete' | 'fail'>
  leases: Leases
  logger: Logger
  /** Who records the outcome. */
  worker: string
  hands: (leased: Leased) => Hands
  /** What was said of newer releases, so that it is said once for each rotation. */
  said: Set<string>
}

/** Takes the effect's lease, acts within it, and records the outcome. A wake-up for a finished effect is a no-op. */
export async function work(key: string, options: WorkOptions): Promise<void> {
  try {
    await takeAndAct(key, options)
  } catch (error) {
    if (!RekeyError.is(error) || error.code !== 'newer_release') throw error
    // No failure of the effect: whoever can read its rotation does it, or does it again.
    if (options.said.has(error.message)) return
    options.said.add(error.message)
    options.logger.warn({ effect: key, error }, 'left to a newer release')
  }
}

async function takeAndAct(key: string, { ledger, leases, logger, worker, hands }: WorkOptions) {
  const taken = await leases.take(key)
  if (!taken) {
    logger.debug({ effect: key }, 'effect is done or taken')
    return
  }
  const { leased, signal } = taken
  const about = { effect: key, attempt: leased.attempt, rotation: leased.rotation.id }
  try {
    const call = { key, signal, ...(leased.urgent && { urgent: true }) }
    const result = await act(leased, hands(leased), call)
    const recorded = await ledger.complete(leased, result, worker)
    logger.info({ ...about, recorded }, 'effect done')
  } catch (error) {
    if (taken.isLost) {
      // Not the effect's fault, and not ours to judge any more: whoever takes it next settles what we left.
      logger.warn({ ...about, error }, 'the lease was lost, the effect is left to its next attempt')
      return
    }
    if (RekeyError.is(error) && error.code === 'newer_release') throw error
    logger.warn({ ...about, error }, 'effect failed')
    // A fault of ours is counted like any other failure, so that somebody hears of it. With the ledger away this
    // throws too, and the lease's end brings the effect back.
    const failure = RekeyError.is(error)
      ? error
      : new RekeyError('bad_response', 'an unexpected fault; see the log')
    await ledger.fail(leased, failure, worker)
  } finally {
    taken.release()
  }
}
