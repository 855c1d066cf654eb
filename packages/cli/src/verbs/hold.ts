import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import { type WhyOptions, whyOf, whyOptions } from '../reason.ts'
import type { AddVerb } from '../verb.ts'

export function addHold(verb: AddVerb, program: Command): void {
  verb<WhyOptions>(program, {
    usage: 'hold <rotation>',
    summary:
      'Stop every step of a routine rotation until `rekey resume`. What nodes and stores have stays as it is; an emergency is not held, and lifts a hold.',
    example: 'rekey hold chat-gateway-key-g2 --reason "wait for the release"',
    exits: [EXIT.closed, EXIT.failed],
    options: whyOptions,
    async run({ client, print }, [id = ''], options) {
      const rotation = await client.hold(id, whyOf(options))
      print(rotation, `${rotation.id} is held (${rotation.phase}) until it is resumed`)
      return EXIT.closed
    },
  })
}
