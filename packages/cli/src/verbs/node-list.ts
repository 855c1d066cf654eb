import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import type { AddVerb } from '../verb.ts'
import { listNodes } from './list.ts'

export function addNodeList(verb: AddVerb, node: Command): void {
  verb(node, {
    usage: 'list',
    summary: 'List nodes: live, lost (silent, and still waited for) or gone.',
    example: 'rekey node list',
    exits: [EXIT.closed, EXIT.failed],
    async run(run) {
      await listNodes(run)
      return EXIT.closed
    },
  })
}
