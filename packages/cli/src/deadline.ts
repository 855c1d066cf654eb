/** One end for all the waits of a run. */
export type Deadline = { signal: AbortSignal; clear(): void }

export function deadline(ms: number | undefined): Deadline {
  const end = new AbortController()
  const timer = ms === undefined ? undefined : setTimeout(() => end.abort(), ms)
  return { signal: end.signal, clear: () => clearTimeout(timer) }
}
