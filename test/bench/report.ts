export type Table = { title: string; columns: string[]; rows: string[][] }

/** What one benchmark found. `floor`: what it is compared with. */
export type Figure = { name: string; floor: string; tables: Table[]; notes: string[] }

/** Markdown, because it is read in a terminal and on a page. */
export function asText({ name, floor, tables, notes }: Figure): string {
  return [
    `## ${name}`,
    '',
    `Floor: ${floor}`,
    '',
    ...tables.flatMap((table) => [...tableLines(table), '']),
    ...notes.map((note) => `- ${note}`),
    ...(notes.length > 0 ? [''] : []),
  ].join('\n')
}

function tableLines({ title, columns, rows }: Table): string[] {
  const widths = columns.map((column, at) =>
    Math.max(column.length, ...rows.map((row) => (row[at] ?? '').length)),
  )
  const line = (cells: string[]) =>
    `| ${widths.map((width, at) => (at === 0 ? (cells[at] ?? '').padEnd(width) : (cells[at] ?? '').padStart(width))).join(' | ')} |`
  const rule = `| ${widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [`**${title}**`, '', line(columns), rule, ...rows.map(line)]
}
