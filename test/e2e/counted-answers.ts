import { setTimeout as delay } from 'node:timers/promises'

const PAUSE_MS = 30

/** Asks each of these again and again, side by side, and counts every answer until it is stopped. */
export function countAnswers(asks: (() => Promise<string>)[]) {
  const seen: Record<string, number> = {}
  let going = true
  const running = asks.map(async (ask) => {
    while (going) {
      const answer = await ask()
      seen[answer] = (seen[answer] ?? 0) + 1
      await delay(PAUSE_MS)
    }
  })
  return {
    async stop() {
      going = false
      await Promise.all(running)
      return seen
    },
  }
}
