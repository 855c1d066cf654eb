import type { Side } from './plan.ts'

export type Verdict = 'same' | 'DIFFERS' | 'not reached'

type Row = {
  service: string
  label: string
  journey: string
  side: Side
  verdict: Verdict
}

/** What was killed where, and whether anybody could tell afterwards. */
export class Report {
  readonly #rows: Row[] = []
  readonly #notes: string[] = []

  add(row: Row): void {
    this.#rows.push(row)
  }

  note(text: string): void {
    this.#notes.push(text)
  }

  toString(): string {
    const lines = Map.groupBy(this.#rows, (row) => `${row.service}|${row.label}`)
    const table = [...lines.entries()]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, rows]) => {
        const cell = (side: Side) => {
          const cells = Map.groupBy(
            rows.filter((row) => row.side === side),
            (row) => `${row.journey} ${row.verdict}`,
          )
          return [...cells].map(([text, of]) => (of.length > 1 ? `${text} ×${of.length}` : text)).join(', ')
        }
        const { service = '', label = '' } = rows[0] ?? {}
        return [service, label, cell('before'), cell('after')]
      })
    const head = ['service', 'point', 'killed before it', 'killed after it']
    const widths = head.map((_, column) =>
      Math.max(...[head, ...table].map((row) => row[column]?.length ?? 0)),
    )
    const print = (row: string[]) =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    return [print(head), ...table.map(print), ...this.#notes].join('\n')
  }
}
