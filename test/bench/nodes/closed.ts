import { setTimeout as delay } from 'node:timers/promises'
import type { ControlClient } from '@rekey/cli'
import type { JournalEntry } from '@rekey/ledger'

const MINUTE_MS = 60_000

/** By asking now and then: a watch would be one more that is told of each step. */
export async function untilClosed(control: ControlClient, rotation: string): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = []
  const deadline = performance.now() + 15 * MINUTE_MS
  for (;;) {
    entries.push(...(await control.journal(rotation, entries.at(-1)?.position)))
    const end = entries.find((entry) => entry.type === 'RotationClosed')
    if (end?.data.outcome === 'closed') return entries
    if (end) throw new Error(`${rotation} ended as ${end.data.outcome}`)
    if (performance.now() > deadline)
      throw new Error(
        `${rotation} has not closed; its last step is ${JSON.stringify(entries.at(-1)).slice(0, 500)}`,
      )
    await delay(200)
  }
}
