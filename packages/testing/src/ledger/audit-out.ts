import { RekeyError } from '@rekey/contracts'
import { readJournal } from './journal.ts'
import { submit } from './submit.ts'
import type { Tables } from './tables.ts'

export type AuditRecord = { position: number; sequence: number; key: string; bytes: string; hash: string }

/** Journal entries that have no audit record yet, in order. */
export function unaudited(tables: Tables, limit: number) {
  return readJournal(tables, { after: tables.audit.at(-1)?.position ?? 0, limit })
}

export function lastRecord(tables: Tables): { sequence: number; hash: string } | undefined {
  const last = tables.audit.at(-1)
  return last && { sequence: last.sequence, hash: last.hash }
}

/** Fails as a whole if another auditor stored one of them. */
export function storeRecords(tables: Tables, records: AuditRecord[]): void {
  const taken = records.some((r) =>
    tables.audit.some((a) => a.position === r.position || a.sequence === r.sequence),
  )
  if (taken) throw new RekeyError('already_exists', 'another auditor stored this record')
  for (const record of records) tables.audit.push({ ...record, isSent: false, isSettled: false })
}

export function unsentRecords(tables: Tables, limit: number): AuditRecord[] {
  const unsent = tables.audit.filter((row) => !row.isSent).slice(0, limit)
  return unsent.map(({ isSent: _sent, isSettled: _settled, ...record }) => record)
}

export function markSent(tables: Tables, sequences: number[]): void {
  for (const row of tables.audit) if (sequences.includes(row.sequence)) row.isSent = true
}

/** Tells rotations that the topic has their announced intents; returns how many. Safe to repeat. */
export function settleIntents(tables: Tables): number {
  let settled = 0
  for (const row of tables.audit) {
    if (!row.isSent || row.isSettled) continue
    const entry = tables.journal[row.position - 1]
    if (entry?.type !== 'RevocationAnnounced') continue
    const generation = Number(entry.data.generation)
    const epoch = Number(entry.data.epoch)
    const input = { type: 'AuditAcknowledged', generation, epoch } as const
    submit(tables, entry.stream.slice('rotation/'.length), input, 'auditor')
    row.isSettled = true
    settled++
  }
  return settled
}
