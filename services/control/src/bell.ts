import type { Ledger } from '@rekey/ledger'

export type Bell = ReturnType<typeof journalBell>

/** One listener for the whole process, however many watch: it says that the journal grew, and each looks for itself. */
export function journalBell(ledger: Pick<Ledger, 'onJournal'>) {
  let rings = 0
  const waiting = new Set<() => void>()
  const closed = new AbortController()
  const listener = ledger.onJournal(() => {
    rings++
    for (const wake of waiting) wake()
  })
  return {
    /** Read it before looking at the journal, so that what is written meanwhile is not missed. */
    get rings() {
      return rings
    },
    closed: closed.signal,
    /** Resolves when the journal grew since `seen`, after `ms`, or when `signal` or the bell ends. */
    next(seen: number, ms: number, signal: AbortSignal): Promise<void> {
      if (rings !== seen || signal.aborted || closed.signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const wake = () => {
          clearTimeout(timer)
          waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const timer = setTimeout(wake, ms)
        waiting.add(wake)
        signal.addEventListener('abort', wake)
      })
    },
    async close() {
      closed.abort()
      for (const wake of waiting) wake()
      await listener.close()
    },
  }
}
