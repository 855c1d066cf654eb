import { setTimeout as delay } from 'node:timers/promises'
import type { Readers } from '@rekey/platform'

export type StoreReads = {
  /** How often a value was read and tried, by store. */
  tried: Record<string, number>
  /** What was read and was refused, or was not there: the store, the generation and the answer. */
  refused: string[]
}

/** Readers of each store by itself, who try what they read at once, until stopped. `knock` says `in`, or how it was refused. */
export function startStoreReaders(readers: Readers, knock: (value: string) => Promise<string>) {
  const reads: StoreReads = { tried: {}, refused: [] }
  const stopping = new AbortController()
  const running = (['vault', 'aws'] as const).map(async (store) => {
    while (!stopping.signal.aborted) {
      const read = await readers[store]()
      const answer = read ? await knock(read.value.reveal()) : 'nothing there'
      reads.tried[store] = (reads.tried[store] ?? 0) + 1
      if (answer !== 'in') reads.refused.push(`${store}, generation ${read?.generation}: ${answer}`)
      await delay(50)
    }
  })
  return {
    async stop(): Promise<StoreReads> {
      stopping.abort()
      await Promise.all(running)
      readers.close()
      return reads
    },
  }
}
