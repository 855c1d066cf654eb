import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { withApproval } from './approval.ts'
import type { Started } from './control-answers.ts'
import type { Why } from './control-client.ts'
import { deadline } from './deadline.ts'
import { parseDuration } from './duration.ts'
import { EXIT } from './exit-code.ts'
import { parseGeneration } from './generation.ts'
import { type WhyOptions, whyOf, whyOptions } from './reason.ts'
import type { AddVerb, Run } from './verb.ts'
import { holdGraceMs, type WaitOptions, waitFor, waitOptions } from './wait.ts'

type OrderOptions = WaitOptions & WhyOptions & { generation?: number[] }

/** An order about a credential, which opens a rotation or reaches the one under way. */
export type CredentialOrder = {
  name: string
  summary: string
  example: string
  /** What became of the order, after the rotation's id. */
  how: Record<Started['how'], string>
  /** It is about leaked generations, which may be named. */
  leaked?: true
  give(
    client: Run['client'],
    credential: string,
    why: Why,
    generations: number[] | undefined,
  ): Promise<Started>
}

export function addCredentialOrder(verb: AddVerb, program: Command, order: CredentialOrder): void {
  const options = (command: Command) => {
    whyOptions(command)
    if (order.leaked)
      command.option(
        '--generation <n>',
        'which leaked; may be repeated (default: the one in use, where that is clear)',
        (text: string, before: number[] = []) => [...before, parseGeneration(text)],
      )
    return waitOptions(command)
  }
  verb<OrderOptions>(program, {
    usage: `${order.name} <credential>`,
    summary: order.summary,
    example: order.example,
    exits: [EXIT.closed, EXIT.noRotation, EXIT.rolledBack, EXIT.held, EXIT.timeout, EXIT.failed],
    options,
    async run(run, [credential = ''], options) {
      // Read before the order is given: a typo must not leave an order that nobody waits for.
      const limits = holdGraceMs(options)
      const timeoutMs = parseDuration(options.timeout)
      // The same order, whenever it is given: after an agreement, too.
      const why = { idempotencyKey: randomUUID(), ...whyOf(options) }
      const give = () => order.give(run.client, credential, why, options.generation)
      const started = await (options.wait ? withApproval(run, give, timeoutMs) : give())
      run.print(
        options.wait ? { type: 'started', ...started } : started,
        `${started.rotation} ${order.how[started.how]}`,
      )
      if (!options.wait) return EXIT.closed
      const end = deadline(timeoutMs)
      try {
        return await waitFor(run, [{ ...started, credential }], { signal: end.signal, ...limits })
      } finally {
        end.clear()
      }
    },
  })
}
