import type { Ledger } from '@rekey/ledger'
import { type Decision, type Denial, denialBook, type Question, type Tally } from '@rekey/policy'
import type { Logger } from '@rekey/runtime'
import type { Caller } from './caller.ts'

const LOOK_MS = 10_000

export type Denials = ReturnType<typeof journalledDenials>

/** Writes refused requests into the journal, as few as the book allows. What cannot be written is in the log. */
export function journalledDenials(ledger: Ledger, logger: Logger, digest: string) {
  const book = denialBook()
  const timer = setInterval(() => void write(book.due(performance.now())), LOOK_MS).unref()

  async function write(tallies: Tally[]): Promise<void> {
    if (tallies.length === 0) return
    try {
      await ledger.recordDenials(tallies.map((tally) => entryOf(tally, digest)))
    } catch (error) {
      logger.error({ error, tallies }, 'denials could not be journalled')
    }
  }

  return {
    async note(caller: Caller, { principal, action, resource }: Question, decision: Decision): Promise<void> {
      const { policies, errors } = decision
      const denial: Denial = {
        actor: caller.actor ?? 'operator/-',
        principal: { type: principal.type, id: principal.id },
        action,
        resource: { type: resource.type, id: resource.type === 'System' ? 'rekey' : resource.id },
        policies,
        errors,
        digest: decision.digest,
      }
      // Operators make their names up, so they are counted as one.
      const by = principal.type === 'Operator' ? 'Operator' : denial.actor
      await write(book.note(denial, by, performance.now()))
    },
    async close(): Promise<void> {
      clearInterval(timer)
      await write(book.due(performance.now(), true))
    },
  }
}

function entryOf({ denial, times }: Tally, digest: string) {
  if (denial) return { ...denial, times }
  return {
    actor: 'control',
    principal: null,
    action: null,
    resource: null,
    policies: [],
    errors: [],
    digest,
    times,
  }
}
