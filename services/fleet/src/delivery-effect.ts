import type { Ledger } from '@rekey/ledger'
import type { Delivery } from './delivery.ts'

/** Longer than handing over takes; there is nothing to renew. */
const LEASE_MS = 5_000

export type DeliveryEffectOptions = {
  ledger: Pick<Ledger, 'lease' | 'complete'>
  delivery: Pick<Delivery, 'deliver'>
  /** Who holds the lease. */
  worker: string
}

/**
 * Takes a delivery that nobody cut into jobs, because the conductor or Redis is away. The nodes that are connected here
 * are told at once, and those of other instances by their reconciliation: done means handed over, and only the nodes'
 * proofs move the wave.
 */
export async function takeDelivery(
  key: string,
  { ledger, delivery, worker }: DeliveryEffectOptions,
): Promise<void> {
  const leased = await ledger.lease(key, `fleet/${worker}`, LEASE_MS)
  if (leased?.effect.kind !== 'deliver') return
  await delivery.deliver({ effect: key, nodes: leased.effect.nodes })
  await ledger.complete(leased, { kind: 'deliver' }, `fleet/${worker}`)
}
