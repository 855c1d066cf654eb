import type { Command } from 'commander'
import { differs, renderChanges } from '../changes.ts'
import { ControlError } from '../control-error.ts'
import { EXIT } from '../exit-code.ts'
import type { AddVerb } from '../verb.ts'

export function addDiff(verb: AddVerb, program: Command): void {
  verb(program, {
    usage: 'diff <path...>',
    summary: 'Show what documents would change. Paths are files, folders, or - for stdin.',
    example: 'rekey diff examples/chat-gateway',
    exits: [EXIT.closed, EXIT.differences, EXIT.failed],
    async run({ client, terminal, print }, paths) {
      const { placed, readSources } = await import('../documents.ts')
      const sources = await readSources(paths, terminal)
      const documents = sources.map((source) => source.value)
      const { changes } = await client.configure(documents, false).catch((error: unknown) => {
        throw error instanceof ControlError && error.faults.length > 0 ? placed(error, sources) : error
      })
      print({ changes }, renderChanges(changes))
      return differs(changes) ? EXIT.differences : EXIT.closed
    },
  })
}
