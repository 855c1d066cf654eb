import type { Command } from 'commander'
import { addCredentialOrder } from '../credential-order.ts'
import type { AddVerb } from '../verb.ts'

export function addRetire(verb: AddVerb, program: Command): void {
  addCredentialOrder(verb, program, {
    name: 'retire',
    summary:
      'Offboard a credential: its value ends, drained and proved dead as in a rotation, and none follows. Until its revocation starts, `rekey rollback` calls it off.',
    example: 'rekey retire chat-gateway-key --reason "workload shut down" --wait',
    how: {
      opened: 'opened: the value ends, and none follows',
      joined: 'is an offboarding already, and serves this order too',
      queued: 'is under way; the offboarding follows it',
    },
    give: (client, credential, why) => client.retire(credential, why),
  })
}
