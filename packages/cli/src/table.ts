import { plain } from './terminal.ts'

/** Left-aligned columns, two spaces apart; the last one may be as long as it likes. */
export function table(head: string[], rows: (string | number | null | undefined)[][]): string {
  const cells = [head, ...rows.map((row) => row.map((cell) => plain(String(cell ?? '-'))))]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `name   value` lines, for one thing shown in detail. */
export function sheet(fields: [name: string, value: string | number | null | undefined][]): string {
  const width = Math.max(...fields.map(([name]) => name.length))
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${plain(String(value ?? '-'))}`).join('\n')
}
