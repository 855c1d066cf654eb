import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import { type WhyOptions, whyOf, whyOptions } from '../reason.ts'
import type { AddVerb } from '../verb.ts'

export function addResume(verb: AddVerb, program: Command): void {
  verb<WhyOptions>(program, {
    usage: 'resume <rotation>',
    summary:
      'Lift the holds of a rotation, and try again what had failed. A hold whose cause is still there comes back.',
    example: 'rekey resume chat-gateway-key-g2 --reason "Vault is unsealed"',
    exits: [EXIT.closed, EXIT.failed],
    options: whyOptions,
    async run({ client, print }, [id = ''], options) {
      const rotation = await client.resume(id, whyOf(options))
      print(rotation, `${rotation.id} goes on (${rotation.phase})`)
      return EXIT.closed
    },
  })
}
