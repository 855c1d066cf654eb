import type { Command } from 'commander'
import { Complaint } from './complaint.ts'

/** Why an order is given. It is kept for good, so an empty one is refused before anything is asked. */
export function reasonOption(command: Command): Command {
  return command.requiredOption('--reason <text>', 'why, for the record', (text: string) => {
    if (text.trim() !== '') return text
    throw new Complaint('bad_usage', 'give a reason', 'Say why in --reason: it is kept in the record.')
  })
}
