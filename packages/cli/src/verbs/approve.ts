import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import { reasonOption } from '../reason.ts'
import { plain } from '../terminal.ts'
import type { AddVerb } from '../verb.ts'

export function addApprove(verb: AddVerb, program: Command): void {
  verb<{ reason: string; ticket?: string }>(program, {
    usage: 'approve <approval>',
    summary:
      "Agree with another person's order, which is about more than one may decide alone. They may give it once then, for as long as `rekey list approvals` says.",
    example: 'rekey approve ap-0123456789ab --reason "I saw the build log too"',
    exits: [EXIT.closed, EXIT.failed],
    options: (command) =>
      reasonOption(command).option('--ticket <text>', 'where people speak about it, such as INC-4711'),
    async run({ client, print }, [id = ''], { reason, ticket }) {
      const approval = await client.approve(id, { reason, ...(ticket && { ticket }) })
      const { requester, action, resource, blastRadius, expiresAt } = approval
      const what = 'id' in resource ? resource.id : 'everything'
      print(
        approval,
        `${plain(requester)} may ${action} ${plain(what)} once, about ${blastRadius} nodes, until ${expiresAt}`,
      )
      return EXIT.closed
    },
  })
}
