import type { Command } from 'commander'
import { addCredentialOrder } from '../credential-order.ts'
import type { AddVerb } from '../verb.ts'

export function addExpedite(verb: AddVerb, program: Command): void {
  addCredentialOrder(verb, program, {
    name: 'expedite',
    summary:
      'A value leaked, and must go on serving: replace it with no windows and no settling, cut the drain at its bound, and wait for no audit topic. Takes over the rotation under way.',
    example: 'rekey expedite chat-gateway-key --reason "key in a build log" --wait',
    how: {
      opened: 'opened, expedited',
      joined: 'was under way, and is expedited from here on',
      queued: 'is under way; exactly one rotation follows it',
    },
    leaked: true,
    give: (client, credential, why, generations) => client.expedite(credential, why, generations),
  })
}
