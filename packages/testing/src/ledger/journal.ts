import type { JournalRow, Tables } from './tables.ts'

type Entry = { type: string; [field: string]: unknown }

/** Positions have no gap and are in the order of commits: there is one writer at a time. */
export function append(tables: Tables, stream: string, actor: string, entries: readonly Entry[]): void {
  let seq = tables.journal.findLast((row) => row.stream === stream)?.seq ?? 0
  for (const { type, ...data } of entries) {
    seq++
    const position = tables.journal.length + 1
    tables.journal.push({ position, stream, seq, type, data, actor, at: tables.clock() })
  }
}

export function rotationStream(id: string): string {
  return `rotation/${id}`
}

export function readJournal(
  tables: Tables,
  { stream, after = 0, limit = 10_000 }: { stream?: string; after?: number; limit?: number },
): (Omit<JournalRow, 'at'> & { at: string })[] {
  const rows = tables.journal.slice(after).filter((row) => stream === undefined || row.stream === stream)
  return rows.slice(0, limit).map((row) => ({ ...row, at: new Date(row.at).toISOString() }))
}
