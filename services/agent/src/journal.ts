import { join } from 'node:path'
import { DesiredState } from '@rekey/contracts'
import { readIfPresent, writeDurably } from '@rekey/runtime'
import { z } from 'zod'

/**
 * What the agent knows after a restart, without any value:
 * `desired` is the newest order taken. It is written before it is carried out, so that a crash in between cannot
 * bring back a generation that was already to be refused. `applied` is the newest order that was reached.
 */
const Entry = z.object({ desired: DesiredState, applied: DesiredState.optional() })
export type JournalEntry = z.infer<typeof Entry>

export interface Journal {
  read(): Promise<JournalEntry | undefined>
  write(entry: JournalEntry): Promise<void>
}

export function fileJournal(stateDir: string, credential: string): Journal {
  const path = join(stateDir, `journal-${credential}.json`)
  return {
    async read() {
      const text = await readIfPresent(path)
      if (text === undefined) return undefined
      try {
        return Entry.parse(JSON.parse(text))
      } catch {
        // Writes are atomic, so this is a foreign hand or a broken disk. The fleet's next order replaces it.
        return undefined
      }
    },
    write: (entry) => writeDurably(path, `${JSON.stringify(entry)}\n`),
  }
}
