import type { Command } from 'commander'
import { parseDuration } from '../duration.ts'
import { EXIT } from '../exit-code.ts'
import { type WhyOptions, whyOf, whyOptions } from '../reason.ts'
import type { AddVerb } from '../verb.ts'

export function addExcuse(verb: AddVerb, program: Command): void {
  verb<WhyOptions & { for: string; credential?: string }>(program, {
    usage: 'excuse <node>',
    summary:
      'Wait for no proof of a node for a while; you answer for it. What dies meanwhile is dead except on this node, and the outcome says so.',
    example: 'rekey excuse gateway-3 --for 2h --reason "in the workshop" --ticket OPS-4711',
    exits: [EXIT.closed, EXIT.failed],
    options: (command) =>
      whyOptions(command)
        .requiredOption('--for <duration>', 'how long; after it the node is waited for again')
        .option('--credential <name>', 'for this credential only'),
    async run({ client, print }, [node = ''], options) {
      const { for: duration, credential } = options
      const forMs = parseDuration(duration)
      const about = credential === undefined ? {} : { credential }
      const answer = await client.excuse(node, whyOf(options), { ...about, forMs })
      const what = credential === undefined ? '' : ` with ${credential}`
      print(answer, `nothing waits for ${node}${what} for ${duration}`)
      return EXIT.closed
    },
  })
}
