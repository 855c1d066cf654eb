import { GENESIS, toOcsf } from '@rekey/audit'
import type { AuditRecord, Ledger } from '@rekey/ledger'

const PAGE = 200

/** Writes a record for each journal entry that has none. What is stored here is what will be sent, byte for byte. */
export async function recordAll(
  ledger: Pick<Ledger, 'lastRecord' | 'unaudited' | 'storeRecords'>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const last = (await ledger.lastRecord()) ?? GENESIS
    const entries = await ledger.unaudited(PAGE)
    if (entries.length === 0) return
    let { sequence, hash } = last
    const records = entries.map((entry): AuditRecord => {
      const { key, bytes, hash: own } = toOcsf(entry, { sequence: sequence + 1, previousHash: hash })
      sequence += 1
      hash = own
      return { position: entry.position, sequence, key, bytes, hash }
    })
    await ledger.storeRecords(records)
  }
}
