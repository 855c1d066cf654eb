import { RekeyError } from '@rekey/contracts/errors'
import { CommanderError } from 'commander'
import { Complaint } from './complaint.ts'
import { ControlError } from './control-error.ts'
import { EXIT } from './exit-code.ts'
import { buildProgram } from './program.ts'
import { plain, type Terminal, tint } from './terminal.ts'

/** Runs one command line and gives its exit code. Never throws: what failed and what to do stands on stderr. */
export async function run(argv: string[], terminal: Terminal): Promise<number> {
  const { program, result } = buildProgram(terminal)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return result.exit
  } catch (error) {
    // Commander has printed its own message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.closed : EXIT.failed
    report(error, terminal, argv.includes('--json'))
    return exitOf(error)
  }
}

function exitOf(error: unknown): number {
  if (!(error instanceof ControlError)) return EXIT.failed
  if (error.approval !== undefined) return EXIT.held
  return error.status === 403 ? EXIT.denied : EXIT.failed
}

function report(error: unknown, terminal: Terminal, json: boolean): void {
  const known = error instanceof Complaint || RekeyError.is(error)
  const code = known ? error.code : 'internal'
  const message = error instanceof Error ? error.message : String(error)
  const remedy = known ? error.remedy : 'This is a fault in the command line: please report it.'
  if (json) {
    const faults = error instanceof ControlError && error.faults.length > 0 ? { faults: error.faults } : {}
    const approval = error instanceof ControlError && error.approval ? { approval: error.approval } : {}
    terminal.err(JSON.stringify({ error: { code, message, remedy, ...faults, ...approval } }))
    return
  }
  terminal.err(`${tint(terminal, 'bad', 'error:')} ${plain(message)}`)
  if (remedy !== '') terminal.err(`       ${plain(remedy)}`)
}
