import { RekeyError } from '@rekey/contracts'
import type { Ledger, Waiting } from '@rekey/ledger'
import { NoAnswer, type Queues } from '@rekey/queues'
import type { Logger } from '@rekey/runtime'

/** A cell: how many nodes one job names at the most. */
const CELL = 100
const LEASE_MS = 5_000

export type RelayOptions = { ledger: Ledger; queues: Queues; logger: Logger; resendMs: number }

/**
 * Wakes workers for every due effect that nobody works on. A job only wakes: the ledger decides who may act. Without
 * Redis nothing is marked as sent, and workers take what is due from the ledger.
 */
export async function relay({ ledger, queues, logger, resendMs }: RelayOptions): Promise<number> {
  if (!queues.isReady()) return 0
  const waiting = await ledger.takeWaiting(resendMs)
  for (const effect of waiting) {
    const { key, relays, kind } = effect
    try {
      if (kind === 'deliver') await deliver(effect, ledger, queues)
      else await queues.add('rotator', `${key}.${relays}`, { effect: key })
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
async function deliver(effect: Waiting, ledger: Ledger, queues: Queues): Promise<void> {
  const leased = await ledger.lease(effect.key, 'conductor', LEASE_MS)
  if (!leased) return
  for (const [instance, nodes] of await ledger.instancesOf(effect.nodes)) {
    for (let from = 0; from < nodes.length; from += CELL) {
      const cell = nodes.slice(from, from + CELL)
      const id = `${effect.key}.${effect.relays}.${from / CELL}`
      await queues.add(`fleet-${instance}`, id, { effect: effect.key, nodes: cell })
    }
  }
  await ledger.complete(leased, { kind: 'deliver' }, 'conductor')
}

function isNewerRelease(error: unknown): boolean {
  return RekeyError.is(error) && error.code === 'newer_release'
}
