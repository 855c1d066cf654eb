import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import { type WhyOptions, whyOf, whyOptions } from '../reason.ts'
import type { AddVerb } from '../verb.ts'

export function addNodeGone(verb: AddVerb, node: Command): void {
  verb<WhyOptions>(node, {
    usage: 'gone <node>',
    summary:
      'Declare a node gone for good: nothing waits for it any more. Say it only of a node that serves nobody.',
    example: 'rekey node gone gateway-3 --reason "host scrapped" --ticket OPS-4711',
    exits: [EXIT.closed, EXIT.failed],
    options: whyOptions,
    async run({ client, print }, [name = ''], options) {
      print(await client.declareGone(name, whyOf(options)), `${name} is gone: nothing waits for it any more`)
      return EXIT.closed
    },
  })
}
