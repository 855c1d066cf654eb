import type { Command } from 'commander'
import { deadline } from '../deadline.ts'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import { reasonOption } from '../reason.ts'
import type { AddVerb } from '../verb.ts'
import { holdGraceMs, type WaitOptions, waitFor, waitOptions } from '../wait.ts'

const HOW = {
  opened: 'opened',
  joined: 'was about to start, and serves this order too',
  queued: 'is under way; exactly one rotation follows it',
}

export function addRotate(verb: AddVerb, program: Command): void {
  verb<WaitOptions & { reason: string }>(program, {
    usage: 'rotate <credential>',
    summary: 'Order a rotation of a credential.',
    example: 'rekey rotate chat-gateway-key --reason "contractor left" --wait',
    exits: [EXIT.closed, EXIT.rolledBack, EXIT.held, EXIT.timeout, EXIT.failed],
    options: (command) => waitOptions(reasonOption(command)),
    async run(run, [credential = ''], options) {
      const limits = holdGraceMs(options)
      const timeoutMs = parseDuration(options.timeout)
      const started = await run.client.rotate(credential, options.reason)
      run.print(
        options.wait ? { type: 'started', ...started } : started,
        `${started.rotation} ${HOW[started.how]}`,
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
