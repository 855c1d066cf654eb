import { GENESIS, toOcsf } from '@rekey/audit'
import type { AuditRecord, Ledger } from '@rekey/ledger'
import { Bell, type Logger, retrying } from '@rekey/runtime'

const PAGE = 200
const POLL_MS = 1_000

/** What the auditor does with the ledger, as often as it does: only that no topic is between storing and marking. */
export function startAudit(ledger: Ledger, logger: Logger): { close(): Promise<void> } {
  const ending = new AbortController()
  const bell = new Bell()
  const listener = ledger.onJournal(() => bell.ring())
  const running = retrying(logger, 'audit', ending.signal, async () => {
    while (!ending.signal.aborted) {
      while (await recordPage(ledger));
      while (await markPage(ledger));
      while ((await ledger.settleIntents()) > 0);
      await bell.wait(POLL_MS, ending.signal)
    }
  })
  return {
    async close() {
      ending.abort()
      await Promise.all([running, listener.close()])
    },
  }
}

async function recordPage(ledger: Ledger): Promise<boolean> {
  const last = (await ledger.lastRecord()) ?? GENESIS
  const entries = await ledger.unaudited(PAGE)
  if (entries.length === 0) return false
  let { sequence, hash } = last
  const records = entries.map((entry): AuditRecord => {
    const record = toOcsf(entry, { sequence: sequence + 1, previousHash: hash })
    sequence += 1
    hash = record.hash
    return { position: entry.position, sequence, key: record.key, bytes: record.bytes, hash }
  })
  await ledger.storeRecords(records)
  return true
}

async function markPage(ledger: Ledger): Promise<boolean> {
  const records = await ledger.unsentRecords(PAGE)
  if (records.length > 0) await ledger.markSent(records.map((record) => record.sequence))
  return records.length > 0
}
