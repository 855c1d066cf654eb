import { RekeyError } from '@rekey/contracts'
import type { Lane, Ledger, Waiting } from '@rekey/ledger'
import { NoAnswer, type Queues, queueOf } from '@rekey/queues'
import type { Logger } from '@rekey/runtime'

/** A cell: how many nodes one job names at the most. */
const CELL = 100
const LEASE_MS = 5_000
/** With more jobs than that before it, a wake-up that nobody followed is no sign that it was lost. */
const LONG = 1_000
/** How much later it is sent again then. */
const PATIENCE = 30

export type RelayOptions = {
  ledger: Pick<Ledger, 'takeWaiting' | 'lease' | 'complete' | 'instancesOf'>
  queues: Pick<Queues, 'isReady' | 'add'>
  logger: Logger
  resendMs: number
  lane: Lane
}

/**
 * Wakes workers for every due effect of a lane that nobody works on. A job only wakes: the ledger decides who may act.
 * Without Redis nothing is marked as sent, and workers take what is due from the ledger.
 */
export async function relay(options: RelayOptions): Promise<number> {
  const { ledger, queues, logger, resendMs, lane } = options
  if (!queues.isReady()) return 0
  const waiting = await ledger.takeWaiting(resendMs, lane)
  for (const effect of waiting) {
    const { key, relays, kind } = effect
    try {
      if (kind === 'deliver') await deliver(effect, options)
      else await queues.add(queueOf('rotator', lane), `${key}.${relays}`, { effect: key })
      logger.debug({ effect: key, relays }, 'effect relayed')
    } catch (error) {
      // A newer process takes it from the ledger.
      if (isNewerRelease(error)) continue
      // It is sent again later; the others are not kept waiting for it.
      logger.warn({ effect: key, error }, 'effect could not be relayed')
      // Redis does not answer: each of the others would only wait as long.
      if (error instanceof NoAnswer || !queues.isReady()) return 0
    }
  }
  return waiting.length
}

/**
 * Cuts a wave into cells and puts each on the queue of the fleet instance that its nodes are connected to. Done means
 * handed over: only the nodes' proofs move the wave, and a node that was away reads its state when it connects.
 */
async function deliver(effect: Waiting, { ledger, queues, lane }: RelayOptions): Promise<void> {
  const leased = await ledger.lease(effect.key, 'conductor', LEASE_MS)
  if (!leased) return
  for (const [instance, nodes] of await ledger.instancesOf(effect.nodes)) {
    for (let from = 0; from < nodes.length; from += CELL) {
      const cell = nodes.slice(from, from + CELL)
      const id = `${effect.key}.${effect.relays}.${from / CELL}`
      await queues.add(queueOf(`fleet-${instance}`, lane), id, { effect: effect.key, nodes: cell })
    }
  }
  await ledger.complete(leased, { kind: 'deliver' }, 'conductor')
}

function isNewerRelease(error: unknown): boolean {
  return RekeyError.is(error) && error.code === 'newer_release'
}

/**
 * When an unanswered wake-up for routine work is sent again. A job that only waits for its turn would come to stand there
 * many times.
 */
export async function resendAfter(
  queues: Pick<Queues, 'isReady' | 'waiting'>,
  resendMs: number,
): Promise<number> {
  if (!queues.isReady()) return resendMs
  // Without an answer nothing is known, and adding jobs will tell of it.
  const jobs = await queues.waiting(queueOf('rotator', 'routine')).catch(() => 0)
  return jobs > LONG ? resendMs * PATIENCE : resendMs
}
