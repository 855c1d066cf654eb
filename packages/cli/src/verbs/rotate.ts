import type { Command } from 'commander'
import { addCredentialOrder } from '../credential-order.ts'
import type { AddVerb } from '../verb.ts'

export function addRotate(verb: AddVerb, program: Command): void {
  addCredentialOrder(verb, program, {
    name: 'rotate',
    summary: 'Order a rotation of a credential.',
    example: 'rekey rotate chat-gateway-key --reason "contractor left" --wait',
    how: {
      opened: 'opened',
      joined: 'was about to start, and serves this order too',
      queued: 'is under way; exactly one rotation follows it',
    },
    give: (client, credential, why) => client.rotate(credential, why),
  })
}
