import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import { type WhyOptions, whyOf, whyOptions } from '../reason.ts'
import type { AddVerb } from '../verb.ts'

export function addRollback(verb: AddVerb, program: Command): void {
  verb<WhyOptions>(program, {
    usage: 'rollback <rotation>',
    summary:
      'Give the new value of a rotation up and go back to the old one, which is possible until the old one is being revoked, and never onto a value that leaked. An offboarding is called off.',
    example: 'rekey rollback chat-gateway-key-g2 --reason "wrong vendor"',
    exits: [EXIT.closed, EXIT.failed],
    options: whyOptions,
    async run({ client, print }, [id = ''], options) {
      const rotation = await client.rollback(id, whyOf(options))
      const what =
        rotation.outcome === 'cancelled'
          ? 'is cancelled: nothing had changed'
          : rotation.goal === 'keep'
            ? `is being called off (${rotation.phase})`
            : `is being rolled back (${rotation.phase})`
      print(rotation, `${rotation.id} ${what}`)
      return EXIT.closed
    },
  })
}
