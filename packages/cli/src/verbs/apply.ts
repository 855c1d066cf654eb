import type { Command } from 'commander'
import { differs, renderChanges } from '../changes.ts'
import { ControlError } from '../control-error.ts'
import { EXIT } from '../exit-code.ts'
import type { AddVerb } from '../verb.ts'

export function addApply(verb: AddVerb, program: Command): void {
  verb<{ dryRun?: true }>(program, {
    usage: 'apply <path...>',
    summary:
      'Show what documents change, and apply them: all or none. Paths are files, folders, or - for stdin.',
    example: 'rekey apply examples/chat-gateway',
    exits: [EXIT.closed, EXIT.failed],
    options: (command) => command.option('--dry-run', 'only show the differences'),
    async run({ client, terminal, print }, paths, { dryRun }) {
      const { placed, readSources } = await import('../documents.ts')
      const sources = await readSources(paths, terminal)
      const documents = sources.map((source) => source.value)
      const answer = await client.configure(documents, !dryRun).catch((error: unknown) => {
        throw error instanceof ControlError && error.faults.length > 0 ? placed(error, sources) : error
      })
      const { changes } = answer
      const first = changes.flatMap(({ name, rotation, awaitsAdoption }) => [
        ...(rotation === undefined ? [] : [`first value: rekey watch ${rotation}`]),
        ...(awaitsAdoption ? [`value in use: rekey adopt ${name}`] : []),
      ])
      const done = dryRun ? 'nothing was applied (--dry-run)' : differs(changes) ? 'applied' : 'nothing to do'
      print(answer, [renderChanges(changes), ...first, done].join('\n'))
      return EXIT.closed
    },
  })
}
