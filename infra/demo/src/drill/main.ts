import { parseArgs } from 'node:util'
import { Complaint } from '@rekey/local'
import { type Check, Display } from '../display.ts'
import { OWNER, openReaders, setStage } from '../stage.ts'
import { judge } from './judge.ts'
import { CASE_NAMES, type CaseName, leakedKey } from './leaked-key.ts'
import { startOnCall } from './on-call.ts'

const HELP = `Usage: pnpm drill leaked-key [case...] [--json]

Three in the morning, rehearsed on the real servers with three gateways under load. A key that is in use is pasted into
\`rekey who\`; its answer is followed with \`rekey expedite\`; the old key is tried from outside.

  routine       nothing else is going on
  half-way      a routine rotation is half-way through replacing the key that leaked, and held
  servers-down  with Kafka and Redis stopped

Without a case: all of them, in this order, one after the other.

  --json   print only the checks, as JSON

Exit codes: 0 every check passed · 1 a check failed, or the drill could not run · 2 no such drill, case or option
`

const EXIT = { done: 0, failed: 1, usage: 2 } as const

function options(): { cases: CaseName[]; json: boolean; help: boolean } | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const [drill, ...named] = positionals
    if (!values.help && drill !== 'leaked-key') throw new Error('there is one drill: leaked-key')
    const cases = CASE_NAMES.filter((name) => named.includes(name))
    const strange = named.filter((name) => !CASE_NAMES.some((known) => known === name))
    if (strange.length > 0) throw new Error(`no case is named ${strange.join(', ')}`)
    return { ...values, cases: cases.length > 0 ? cases : [...CASE_NAMES] }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}`)
    return undefined
  }
}

async function run(cases: CaseName[], json: boolean): Promise<number> {
  const display = new Display({ quiet: json })
  display.title('The stage')
  const stage = await setStage((line) => display.say(line))
  const readers = openReaders(stage)
  const onCall = await startOnCall()
  const checks: Check[] = []
  try {
    display.say(`${OWNER} is told at a webhook`)
    await stage.control.configure([ownerTold(onCall.url)], true)
    for (const name of cases)
      checks.push(...judge(name, await leakedKey(name, { stage, readers, display, onCall })))
  } finally {
    await onCall.close()
    readers.close()
    await stage.close()
  }
  const ok = checks.every((check) => check.ok)
  if (json) process.stdout.write(`${JSON.stringify({ ok, checks }, null, 2)}\n`)
  display.verdict(checks)
  return ok ? EXIT.done : EXIT.failed
}

function ownerTold(url: string): object {
  const notify = [{ name: 'on-call', kind: 'webhook', url }]
  return { apiVersion: 'rekey.dev/v1', kind: 'Owner', metadata: { name: OWNER }, spec: { notify } }
}

const asked = options()
if (!asked) process.exitCode = EXIT.usage
else if (asked.help) process.stdout.write(HELP)
else {
  try {
    process.exitCode = await run(asked.cases, asked.json)
  } catch (error) {
    process.stderr.write(
      `${error instanceof Complaint ? error.message : error instanceof Error ? error.stack : error}\n`,
    )
    process.exitCode = EXIT.failed
  }
}
// Kept-alive connections of the clients would hold the process.
process.exit()
