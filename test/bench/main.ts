import { parseArgs } from 'node:util'
import { Complaint } from '@rekey/local'
import { FIGURE_NAMES, type FigureName, runBench } from './bench.ts'
import { endWith } from './ending.ts'
import { machineLine } from './machine.ts'
import { asText } from './report.ts'

/** Measured only by name. */
const LONG: readonly FigureName[] = ['adapters', 'kinds', 'quota', 'exposure', 'fleet', 'month', 'agent']

const HELP = `Usage: pnpm bench [name...] [--quick] [--runs N] [--json]

Measures what Rekey does beside a bare floor that is measured in the same run, on real PostgreSQL and Redis (and Vault).

  core        decisions of the pure core · floor: a copy of the state
  rotations   rotations from event to end · floor: the rows that one has to write
  submit      500 nodes and 500 inputs at once on one rotation · floor: updates of one row
  relay       from the commit of an effect to its act · floor: NOTIFY and one call of Redis
  lane        an emergency behind 10,000 queued routine jobs · floor: on an idle system
  footprint   rows and log that a rotation leaves · floor: its journal alone
  adapters    failed requests, latency and streams while a node's value changes, by adapter · floor: nothing changes
  kinds       what an authority takes in one rotation, by kind · floor: the bare calls
  quota       requests of a rotation, and rotations against Secrets Manager's quota of writes · floor: the quota
  exposure    how long a leaked value is still accepted, at 3, 100 and 1,000 nodes · floor: the round trips alone (an hour)
  fleet       1,000 and 10,000 nodes: a value rolled over, memory, requests while idle, and all connecting again · floor: the round trips alone (an hour)
  month       20,000 rotations in one go, and what a store's quota makes of it (20 minutes and more)
  agent       an idle agent's memory, processor time and packets · floor: a process with the same session (10 minutes)

Without a name: all of them but adapters, kinds, quota, exposure, fleet, month and agent. docs/reference/benchmarks.md says what each figure means.

  --quick   sizes that only show that it works
  --runs N  how often each is measured (3)
  --json    as JSON, for programs

What is under way is told on standard error. PostgreSQL and Redis are started for the run; those that DATABASE_URL and
REDIS_URL name are used instead. Exit codes: 0 measured · 1 it could not be · 2 no such name or option.
`

function options() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        runs: { type: 'string' },
      },
    })
    const names = positionals.filter(
      (name): name is FigureName => name in Object.fromEntries(FIGURE_NAMES.map((n) => [n, n])),
    )
    const strange = positionals.filter((name) => !FIGURE_NAMES.some((known) => known === name))
    if (strange.length > 0) throw new Complaint(`there is no figure named ${strange.join(', ')}; see --help`)
    const runs = Number(values.runs ?? (values.quick ? 1 : 3))
    if (!Number.isInteger(runs) || runs < 1 || runs > 20)
      throw new Complaint('--runs wants a number from 1 to 20')
    return { ...values, names, runs }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return undefined
  }
}

async function run(): Promise<number> {
  const asked = options()
  if (!asked) return 2
  if (asked.help) {
    process.stdout.write(HELP)
    return 0
  }
  const { quick, runs, json } = asked
  const names = asked.names.length > 0 ? asked.names : FIGURE_NAMES.filter((name) => !LONG.includes(name))
  const { machine, figures } = await runBench({
    names,
    quick,
    runs,
    say: (line) => process.stderr.write(`${line}\n`),
    onFigure: (figure) => !json && process.stdout.write(`${asText(figure)}\n`),
  })
  process.stdout.write(
    json ? `${JSON.stringify({ machine, figures }, null, 2)}\n` : `${machineLine(machine)}\n`,
  )
  return 0
}

await endWith(run)
