/** Capped exponential delay with full jitter in its upper half, so that a fleet does not come back as one. */
export function backoffMs(
  failures: number,
  options: { baseMs: number; capMs: number; random?: () => number },
): number {
  const random = options.random ?? Math.random
  const ceiling = Math.min(options.capMs, options.baseMs * 2 ** Math.min(failures, 20))
  return Math.round(ceiling / 2 + (random() * ceiling) / 2)
}
