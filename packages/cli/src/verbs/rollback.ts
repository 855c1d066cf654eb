import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import { reasonOption } from '../reason.ts'
import type { AddVerb } from '../verb.ts'

export function addRollback(verb: AddVerb, program: Command): void {
  verb<{ reason: string }>(program, {
    usage: 'rollback <rotation>',
    summary:
      'Give the new value of a rotation up and go back to the old one, which is possible until the old one is being revoked.',
    example: 'rekey rollback chat-gateway-key-g2 --reason "wrong vendor"',
    exits: [EXIT.closed, EXIT.failed],
    options: reasonOption,
    async run({ client, print }, [id = ''], { reason }) {
      const rotation = await client.rollback(id, reason)
      print(rotation, `${rotation.id} is being rolled back (${rotation.phase})`)
      return EXIT.closed
    },
  })
}
