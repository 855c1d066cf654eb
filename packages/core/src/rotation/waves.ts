/**
 * Splits nodes into waves. Each entry is a count or a share of all nodes, cumulative: `[1, '10%', '100%']` is one
 * node, then up to a tenth, then everybody. What the entries leave over forms a last wave; empty waves vanish.
 * The order is by name, so that the same question has the same answer.
 */
export function planWaves(nodes: string[], entries: (number | string)[]): string[][] {
  const ordered = [...nodes].sort()
  const waves: string[][] = []
  let done = 0
  for (const entry of [...entries, '100%']) {
    const upTo =
      typeof entry === 'number' ? entry : Math.ceil((ordered.length * Number.parseInt(entry, 10)) / 100)
    const end = Math.min(Math.max(upTo, done), ordered.length)
    if (end > done) waves.push(ordered.slice(done, end))
    done = end
  }
  return waves
}
