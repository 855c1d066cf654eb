import type { AuditRecord } from '@rekey/ledger'

/** Below Kafka's limit for one batch of records (1 MiB by default). */
const BATCH_BYTES = 800_000

/** As many of the first records as one request may hold; at least one. */
export function cutBatch(records: AuditRecord[], limit = BATCH_BYTES): AuditRecord[] {
  let bytes = 0
  const end = records.findIndex((record, index) => {
    bytes += Buffer.byteLength(record.bytes) + Buffer.byteLength(record.key) + 500
    return bytes > limit && index > 0
  })
  return end === -1 ? records : records.slice(0, end)
}
