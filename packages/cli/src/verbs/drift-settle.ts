import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { withApproval } from '../approval.ts'
import { Complaint } from '../complaint.ts'
import { deadline } from '../deadline.ts'
import { driftedWords } from '../drift.ts'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import { type WhyOptions, whyOf, whyOptions } from '../reason.ts'
import { plain } from '../terminal.ts'
import type { AddVerb } from '../verb.ts'
import { holdGraceMs, type WaitOptions, waitFor, waitOptions } from '../wait.ts'

export function addDriftSettle(verb: AddVerb, drift: Command): void {
  verb<WaitOptions & WhyOptions & { seen: string[] }>(drift, {
    usage: 'settle <credential>',
    summary:
      'Settle what somebody changed in a store by hand: a rotation makes a new value and replaces what was seen there, and nothing that is written after that. One that is held at what it found goes on.',
    example: 'rekey drift settle chat-gateway-key --reason "edited by mistake" --wait',
    exits: [EXIT.closed, EXIT.noRotation, EXIT.rolledBack, EXIT.held, EXIT.timeout, EXIT.failed],
    options: (command) =>
      waitOptions(
        whyOptions(command).option(
          '--seen <store=version>',
          'refuse if the store shows another version than this by now; again for each store, `none` where it shows nothing',
          (one: string, all: string[]) => [...all, one],
          [],
        ),
      ),
    async run(run, [credential = ''], options) {
      // Read before the order is given: a typo must not leave an order that nobody waits for.
      const limits = holdGraceMs(options)
      const timeoutMs = parseDuration(options.timeout)
      const { drift: found } = await run.client.driftOf(credential)
      if (!found)
        throw new Complaint(
          'not_allowed_now',
          `nothing is known to have drifted of ${credential}`,
          `See whether it has: rekey drift look ${credential}`,
        )
      const now = Object.fromEntries(found.stores.map((one) => [one.store, one.seen]))
      const seen = options.seen.length > 0 ? seenIn(options.seen) : now
      const why = { idempotencyKey: randomUUID(), ...whyOf(options) }
      const give = () => run.client.settleDrift(credential, why, seen)
      const ordered = await (options.wait ? withApproval(run, give, timeoutMs) : give())
      const { rotation } = ordered
      run.print(
        options.wait ? { type: 'ordered', ...ordered } : ordered,
        [...found.stores.map(driftedWords), `${rotation} replaces that`].map(plain).join('\n'),
      )
      if (!options.wait) return EXIT.closed
      const end = deadline(timeoutMs)
      try {
        const started = { rotation, how: 'opened', credential } as const
        return await waitFor(run, [started], { signal: end.signal, ...limits })
      } finally {
        end.clear()
      }
    },
  })
}

function seenIn(told: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(
    told.map((one) => {
      const [store, version] = [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]
      if (!one.includes('=') || store === '' || version === '')
        throw new Complaint(
          'bad_usage',
          `${one} names no store and version`,
          'Say it as vault=7, or aws=none.',
        )
      return [store, version === 'none' ? null : version]
    }),
  )
}
