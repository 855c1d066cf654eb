import { parseArgs } from 'node:util'

export const HELP = `Usage: rekey-agent <command> --config FILE

Commands:
  run      Keep this node's credentials at their desired state. Enrols first, with a join token or an SVID.
  enrol    Get this node's certificate and Vault identity with a join token or an SVID, and end.
  status   Ask the running agent what it holds.
  authorizer
           Answer the auth_request of an NGINX on this node: a process of its own, with a configuration of its own.

Options:
  --config FILE   The configuration of the agent, or of the authorizer (YAML).
  --json          With status: one JSON object.
  --help          This text.

Exit codes:
  0   done; for status: ready (connected, and every credential at its desired state)
  1   error
  2   wrong usage or configuration
  3   not enrolled, and enrolment is not possible without somebody's help
  4   status: no agent runs here
  5   status: an agent runs, but is not ready
`

export const EXIT = { done: 0, error: 1, usage: 2, notEnrolled: 3, notRunning: 4, notReady: 5 } as const

const COMMANDS = ['run', 'enrol', 'status', 'authorizer'] as const
type Command = (typeof COMMANDS)[number]

export type CommandLine =
  | { command: Command; config: string; json: boolean }
  | { command: 'help' }
  | { command: 'wrong'; why: string }

export function readCommandLine(args: string[]): CommandLine {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { command: 'help' }
    const [named, ...rest] = positionals
    const command = COMMANDS.find((known) => known === named)
    if (command === undefined)
      return { command: 'wrong', why: named === undefined ? 'a command is missing' : 'unknown command' }
    if (rest.length > 0) return { command: 'wrong', why: 'too many arguments' }
    if (values.config === undefined) return { command: 'wrong', why: '--config FILE is missing' }
    return { command, config: values.config, json: values.json }
  } catch (error) {
    return { command: 'wrong', why: (error as Error).message }
  }
}
