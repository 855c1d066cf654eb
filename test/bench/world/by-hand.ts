import type { Ledger } from '@rekey/ledger'
import { resultOf } from './result.ts'

/** Every worker but the nodes, once, in this process: for what asks only the ledger. Returns how much was done. */
export async function workByHand(ledger: Ledger, acknowledged: Set<string>): Promise<number> {
  let done = await ledger.fireTimers('bench')
  for (const { key } of await ledger.takeWaiting(0)) {
    const leased = await ledger.lease(key, 'bench', 5_000)
    if (!leased) continue
    await ledger.complete(leased, resultOf(leased.effect), 'bench')
    done++
  }
  for (const { id, phase } of await ledger.listRotations({ limit: 1 })) {
    if (phase !== 'Draining' || acknowledged.has(id)) continue
    const announced = (await ledger.journal({ stream: `rotation/${id}` })).find(
      (e) => e.type === 'RevocationAnnounced',
    )
    if (!announced) continue
    acknowledged.add(id)
    await ledger.submit(
      id,
      { type: 'AuditAcknowledged', generation: Number(announced.data.generation) },
      'auditor',
    )
    done++
  }
  return done
}
