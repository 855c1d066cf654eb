import { parseArgs } from 'node:util'
import { Coverage } from './coverage.ts'
import { minimise } from './minimise.ts'
import { outline, told } from './report.ts'
import { live } from './run.ts'
import { draw } from './scenario.ts'

const HELP = `Lives simulated worlds through, and holds them to Rekey's promises.

  node test/simulation/main.ts --seed N [--trace] [--minimise]
  node test/simulation/main.ts [--from A] [--seeds N] [--coverage] [--stop]

  --seed N      one world; its last steps are printed
  --trace       everything that happened in it
  --minimise    leaves out faults, orders and the like, one by one, while it still fails
  --from A      many worlds, beginning with this seed (1)
  --seeds N     how many of them (100)
  --coverage    which faults met which steps and acts
  --stop        no further world after one that breaks a promise
  --help        this text

Exit code: 0 every promise was kept, 1 one was broken.
`

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '100' },
    trace: { type: 'boolean', default: false },
    minimise: { type: 'boolean', default: false },
    coverage: { type: 'boolean', default: false },
    stop: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const say = (...lines: string[]) => process.stdout.write(lines.map((line) => `${line}\n`).join(''))

if (values.help) say(HELP)
else if (values.seed !== undefined) await one(Number(values.seed))
else await many(Number(values.from), Number(values.seeds))

async function one(seed: number): Promise<void> {
  let scenario = draw(seed)
  let run = await live(scenario, { keepAll: values.trace })
  const { violation } = run
  if (violation && values.minimise) {
    ;({ scenario } = await minimise(scenario, violation.invariant))
    run = await live(scenario, { keepAll: values.trace })
  }
  if (values.minimise) say(...outline(scenario), '')
  say(...told(run, { all: values.trace }), '')
  say(run.violation ? `seed ${seed}: ${run.violation.message}` : `seed ${seed}: ${run.outcomes}`)
  process.exitCode = run.violation ? 1 : 0
}

async function many(from: number, count: number): Promise<void> {
  const startedAt = performance.now()
  const before = process.cpuUsage()
  const met = new Coverage()
  let failed = 0
  let steps = 0
  for (let seed = from; seed < from + count; seed++) {
    const run = await live(draw(seed))
    steps += run.steps
    met.add(run.met)
    if (!run.violation) continue
    failed++
    say(`seed ${seed}: ${run.violation.message.split('\n')[0]}`)
    if (values.stop) break
  }
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(before)
  const coreMs = (user + system) / 1000 / count
  if (values.coverage) say(met.report(), '')
  say(
    `${count} seeds, ${failed} failed, ${(count / seconds).toFixed(0)} seeds/s, ` +
      `${Math.round(steps / count)} steps and ${coreMs.toFixed(1)} ms of a core each`,
  )
  process.exitCode = failed > 0 ? 1 : 0
}
