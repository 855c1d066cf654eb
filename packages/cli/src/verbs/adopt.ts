import type { Command } from 'commander'
import { addCredentialOrder } from '../credential-order.ts'
import type { AddVerb } from '../verb.ts'

export function addAdopt(verb: AddVerb, program: Command): void {
  addCredentialOrder(verb, program, {
    name: 'adopt',
    summary:
      'Take over the value that the stores hold already, as a generation of Rekey. No value is made, and readers get the same one throughout. Its document says `firstValue: adopt`.',
    example: 'rekey adopt chat-gateway-key --reason "moving under Rekey" --wait',
    how: {
      opened: 'opened: the value in use is taken over',
      joined: 'is under way, and serves this order too',
      queued: 'is under way',
    },
    give: (client, credential, why) => client.adopt(credential, why),
  })
}
