import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { EXIT } from '../exit-code.ts'
import { sheet } from '../table.ts'
import type { AddVerb } from '../verb.ts'

export function addVersion(verb: AddVerb, program: Command): void {
  verb(program, {
    usage: 'version',
    summary: 'Show the version of this command line, and of control where it can be reached.',
    example: 'rekey version',
    exits: [EXIT.closed, EXIT.failed],
    async run(run) {
      const rekey = ownVersion()
      const control = await controlVersion(run)
      run.print(
        { rekey, control: control ?? null },
        sheet([
          ['rekey', rekey],
          ['control', control ?? 'not reached'],
        ]),
      )
      return EXIT.closed
    },
  })
}

export function ownVersion(): string {
  const manifest: { version: string } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  )
  return manifest.version
}

/** Undefined: no token, or no control. Neither is what was asked about. */
async function controlVersion(run: {
  client: { version(): Promise<{ version: string }> }
}): Promise<string | undefined> {
  try {
    return (await run.client.version()).version
  } catch {
    return undefined
  }
}
