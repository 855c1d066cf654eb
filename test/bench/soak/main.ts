import { parseArgs } from 'node:util'
import { Complaint } from '@rekey/local'
import { endWith } from '../ending.ts'
import { lookAtMachine, machineLine } from '../machine.ts'
import { asText } from '../report.ts'
import { startServers } from '../servers.ts'
import { runSoak } from './soak.ts'
import { figureOf, judge } from './verdict.ts'

const FULL = { requests: 1_000_000, rate: 2_000, rollovers: 100, seed: 1 }
const QUICK = { requests: 2_000, rate: 200, rollovers: 2, seed: 1 }

const HELP = `Usage: pnpm bench:soak [--requests N] [--rate N] [--rollovers N] [--seed N] [--quick] [--json]

Requests at a fixed rate through two real gateways behind a balancer, while one rotation of a real Rekey follows the other and
agents, gateways and services are killed. Holds only if no request fails, every rollover closes and each old key is refused.

  --requests N   at least so many (${FULL.requests.toLocaleString('en')})
  --rate N       requests a second, due at fixed times whatever became of those before (${FULL.rate.toLocaleString('en')})
  --rollovers N  rotations, one after the other, each with a kill (${FULL.rollovers})
  --seed N       says what is killed when (${FULL.seed})
  --quick        some seconds: ${QUICK.requests.toLocaleString('en')} requests at ${QUICK.rate} a second, ${QUICK.rollovers} rollovers
  --json         as JSON, for programs

What is under way is told on standard error. docs/reference/benchmarks.md says what the numbers mean. Exit codes: 0 every promise held ·
1 one did not, or it could not be measured · 2 no such option.
`

type Asked = typeof FULL & { json: boolean; help: boolean }

function options(): Asked | undefined {
  try {
    const { values } = parseArgs({
      options: {
        requests: { type: 'string' },
        rate: { type: 'string' },
        rollovers: { type: 'string' },
        seed: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    const sizes = values.quick ? QUICK : FULL
    const number = (name: keyof typeof FULL, max: number) => {
      const value = Number(values[name] ?? sizes[name])
      if (Number.isInteger(value) && value >= 1 && value <= max) return value
      throw new Complaint(`--${name} wants a whole number from 1 to ${max.toLocaleString('en')}`)
    }
    const { json, help } = values
    return {
      requests: number('requests', 100_000_000),
      rate: number('rate', 20_000),
      rollovers: number('rollovers', 10_000),
      seed: number('seed', 2_147_483_647),
      json,
      help,
    }
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
  const { json, help: _, ...sizes } = asked
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const servers = await startServers(undefined, say)
  try {
    const machine = await lookAtMachine(servers)
    const seen = await runSoak(servers, { ...sizes, say })
    const promises = judge(sizes, seen)
    const figure = figureOf(sizes, seen, promises)
    const ok = promises.every((promise) => promise.ok)
    process.stdout.write(
      json
        ? `${JSON.stringify({ ok, asked: sizes, promises, machine, figures: [figure] }, null, 2)}\n`
        : `${asText(figure)}\n${machineLine(machine)}\n`,
    )
    return ok ? 0 : 1
  } finally {
    await servers.stop()
  }
}

await endWith(run)
