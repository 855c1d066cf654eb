import type { Command } from 'commander'
import { driftedWords } from '../drift.ts'
import { EXIT } from '../exit-code.ts'
import { table } from '../table.ts'
import type { AddVerb } from '../verb.ts'

export function addDriftList(verb: AddVerb, drift: Command): void {
  verb(drift, {
    usage: 'list',
    summary: 'List what stores show that Rekey did not write, and that is not settled.',
    example: 'rekey drift list --json',
    exits: [EXIT.closed, EXIT.differences, EXIT.failed],
    async run({ client, print }) {
      const all = await client.drift()
      const rows = all.flatMap((one) =>
        one.stores.map((store) => [
          one.credential,
          driftedWords(store),
          one.foundAt.slice(0, 19).replace('T', ' '),
          one.owner,
          one.order ? `${one.order.rotation}, by ${one.order.by}` : undefined,
        ]),
      )
      const text = table(['CREDENTIAL', 'DRIFT', 'FOUND (UTC)', 'OWNER', 'SETTLED BY'], rows)
      print(all, all.length > 0 ? text : 'no store is known to show what Rekey did not write')
      return all.length > 0 ? EXIT.differences : EXIT.closed
    },
  })
}
