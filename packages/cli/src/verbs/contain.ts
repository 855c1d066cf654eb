import type { Command } from 'commander'
import { addCredentialOrder } from '../credential-order.ts'
import type { AddVerb } from '../verb.ts'

export function addContain(verb: AddVerb, program: Command): void {
  addCredentialOrder(verb, program, {
    name: 'contain',
    summary:
      'A value leaked, and must stop working now: revoke it at once, while its successor is made. Requests with it fail until clients have the next one, and the record names you. Takes over the rotation under way.',
    example:
      'rekey contain chat-gateway-key --reason "used by a stranger" --ticket INC-7 --generation 2 --wait',
    how: {
      opened: 'opened: what leaked is being revoked now',
      joined: 'was under way: what leaked is being revoked now',
      queued: 'is under way; exactly one rotation follows it',
    },
    leaked: true,
    give: (client, credential, why, generations) => client.contain(credential, why, generations),
  })
}
