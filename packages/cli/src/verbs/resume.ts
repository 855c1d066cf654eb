import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import { reasonOption } from '../reason.ts'
import type { AddVerb } from '../verb.ts'

export function addResume(verb: AddVerb, program: Command): void {
  verb<{ reason: string }>(program, {
    usage: 'resume <rotation>',
    summary:
      'Lift the holds of a rotation, and try again what had failed. A hold whose cause is still there comes back.',
    example: 'rekey resume chat-gateway-key-g2 --reason "Vault is unsealed"',
    exits: [EXIT.closed, EXIT.failed],
    options: reasonOption,
    async run({ client, print }, [id = ''], { reason }) {
      const rotation = await client.resume(id, reason)
      print(rotation, `${rotation.id} goes on (${rotation.phase})`)
      return EXIT.closed
    },
  })
}
