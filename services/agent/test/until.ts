import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for what a test expects to come true by itself. The wait is bounded; what it waited for is named. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  timeoutMs = 30_000,
): Promise<T> {
  const end = performance.now() + timeoutMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false && seen !== null) return seen
    if (performance.now() > end) throw new Error(`did not happen within ${timeoutMs} ms: ${what}`)
    await sleep(20)
  }
}
