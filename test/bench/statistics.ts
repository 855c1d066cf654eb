/** The value below which this share of the sample lies. */
export function percentile(sample: readonly number[], share: number): number {
  const sorted = sample.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const median = (sample: readonly number[]): number => percentile(sample, 0.5)

/** Three digits that count, as people read them. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}

/** The middle one of several runs, and how far they lie apart. */
export function spread(runs: readonly number[]): string {
  if (runs.length === 1) return digits(runs[0] ?? Number.NaN)
  return `${digits(median(runs))} (${digits(Math.min(...runs))} to ${digits(Math.max(...runs))})`
}

/** Runs both in turn, so that a machine that slows down slows both, and keeps them in pairs. */
export async function inTurn<F, R>(
  runs: number,
  floor: () => Promise<F>,
  real: () => Promise<R>,
): Promise<{ floor: F; real: R }[]> {
  const pairs: { floor: F; real: R }[] = []
  for (let i = 0; i < runs; i++) pairs.push({ floor: await floor(), real: await real() })
  return pairs
}
