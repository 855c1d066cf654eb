import type { Command } from 'commander'
import { ControlClient } from './control-client.ts'
import { EXIT, type ExitCode, MEANING } from './exit-code.ts'
import { readSettings } from './settings.ts'
import type { Terminal } from './terminal.ts'

/** What a verb works with. */
export type Run = {
  terminal: Terminal
  /** Whether `--json` was given: then `print` prints nothing else. */
  json: boolean
  client: ControlClient
  print(json: unknown, text: string): void
}

export type Verb<Options> = {
  /** With its arguments, as commander has it. */
  usage: string
  summary: string
  example: string
  exits: ExitCode[]
  options?: (command: Command) => Command
  run(run: Run, args: string[], options: Options): Promise<ExitCode>
}

export type AddVerb = <Options>(parent: Command, verb: Verb<Options>) => void

/** Gives every verb the same options and the same help. */
export function verbAdder(terminal: Terminal, result: { exit: ExitCode }): AddVerb {
  return (parent, verb) => {
    const command = parent
      .command(verb.usage)
      .description(verb.summary)
      .option('--json', 'print JSON')
      .option('--url <url>', 'address of control (REKEY_URL)')
      .option('--token-file <file>', 'file with your token for control (REKEY_TOKEN_FILE)')
      .option('--actor <name>', 'who you are, with the shared token (default: your user name)')
      .addHelpText('after', helpOf(verb))
    verb.options?.(command)
    command.action(async (...given: unknown[]) => {
      const args = given.slice(0, -2).flatMap((arg) => (arg === undefined ? [] : (arg as string | string[])))
      const options = command.opts()
      const json = options.json === true
      let client: ControlClient | undefined
      const run: Run = {
        terminal,
        json,
        // Made when it is first used: some verbs need no control, and so no token.
        get client() {
          client ??= new ControlClient(readSettings(options, terminal.env))
          return client
        },
        print: (value, text) => {
          if (json) terminal.out(JSON.stringify(value))
          else if (text !== '') terminal.out(text)
        },
      }
      result.exit = await verb.run(run, args, options as Parameters<typeof verb.run>[2])
    })
  }
}

function helpOf({ example, exits }: Pick<Verb<never>, 'example' | 'exits'>): string {
  // Whatever asks control may be denied.
  const all = exits.flatMap((code) => (code === EXIT.failed ? [code, EXIT.denied] : [code]))
  const codes = all.map((code) => `  ${String(code).padEnd(2)}  ${MEANING[code]}`)
  return ['', 'Example:', `  ${example}`, '', 'Exit codes:', ...codes].join('\n')
}
