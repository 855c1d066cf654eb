import type { Command } from 'commander'
import { Complaint } from './complaint.ts'
import type { Why } from './control-client.ts'

export type WhyOptions = { reason: string; ticket?: string; idempotencyKey?: string }

/** Why an order is given. It is kept for good, so an empty one is refused before anything is asked. */
export function reasonOption(command: Command): Command {
  return command.requiredOption('--reason <text>', 'why, for the record', (text: string) => {
    if (text.trim() !== '') return text
    throw new Complaint('bad_usage', 'give a reason', 'Say why in --reason: it is kept in the record.')
  })
}

/** What every order takes: its reason, a ticket, and a key under which it may be repeated. */
export function whyOptions(command: Command): Command {
  return reasonOption(command)
    .option('--ticket <text>', 'where people speak about it, such as INC-4711')
    .option('--idempotency-key <key>', 'the same order under the same key is carried out once (7 days)')
}

export function whyOf({ reason, ticket, idempotencyKey }: WhyOptions): Exclude<Why, string> {
  return { reason, ...(ticket && { ticket }), ...(idempotencyKey && { idempotencyKey }) }
}
