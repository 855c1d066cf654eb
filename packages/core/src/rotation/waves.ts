/**
 * An entry of the plan of waves: a count of nodes or a share of all (`'10%'`), both cumulative; a wave for each value of a
 * label; or so many nodes of each value in one wave, so that a canary has one of either half of a blue-green pair.
 */
export type WaveEntry = number | string | { by: string } | { ofEach: string; nodes: number | string }

/** What a node says of itself: its zone, the version that it serves. */
export type Labelled = { node: string; labels?: Record<string, string> }

/**
 * Splits nodes into waves: `[1, '10%', '100%']` is one node, then up to a tenth, then everybody. What the entries leave over
 * forms a last wave; empty waves vanish, and none is larger than `most`. The order is by name, so that the same question
 * has the same answer; nodes without the label come last.
 */
export function planWaves(nodes: Labelled[], entries: WaveEntry[], most?: number): string[][] {
  const ordered = nodes.toSorted((a, b) => (a.node < b.node ? -1 : 1))
  const left = new Set(ordered.map(({ node }) => node))
  const waves: string[][] = []
  const take = (some: string[]) => {
    const wave = some.filter((node) => left.delete(node))
    if (wave.length > 0) waves.push(wave)
  }
  for (const entry of [...entries, '100%']) {
    if (typeof entry !== 'object') {
      const more = upTo(entry, ordered.length) - (ordered.length - left.size)
      take([...left].slice(0, Math.max(0, more)))
    } else if ('by' in entry) for (const group of groups(ordered, entry.by)) take(group)
    else
      take(groups(ordered, entry.ofEach).flatMap((group) => group.slice(0, upTo(entry.nodes, group.length))))
  }
  return inParts(waves, most)
}

/** The same waves, none of them larger than `most`. */
export function inParts(waves: string[][], most = Number.POSITIVE_INFINITY): string[][] {
  return waves.flatMap((wave) => {
    const size = Math.min(most, wave.length)
    const parts = Math.ceil(wave.length / size) || 0
    return Array.from({ length: parts }, (_, part) => wave.slice(part * size, (part + 1) * size))
  })
}

function upTo(entry: number | string, of: number): number {
  return typeof entry === 'number' ? entry : Math.ceil((of * Number.parseInt(entry, 10)) / 100)
}

function groups(ordered: Labelled[], label: string): string[][] {
  const byValue = Map.groupBy(ordered, ({ labels }) => labels?.[label])
  return [...byValue]
    .sort(([a], [b]) => (a === undefined ? 1 : b === undefined || a < b ? -1 : 1))
    .map(([, some]) => some.map(({ node }) => node))
}
