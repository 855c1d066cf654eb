import type { Progress } from './cache.ts'

/** Says each minute that a long work still goes on. */
export async function stillWorking<T>(what: string, say: Progress, work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  const ticker = setInterval(() => {
    say(`still ${what} (${Math.round((performance.now() - started) / 60_000)} min)`)
  }, 60_000)
  try {
    return await work()
  } finally {
    clearInterval(ticker)
  }
}
