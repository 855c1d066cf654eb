import { parseArgs } from 'node:util'
import { Complaint } from '@rekey/local'
import { connectBus } from './bus.ts'
import { Display } from './display.ts'
import { openReaders, type Stage, setStage } from './stage.ts'
import { play } from './story.ts'
import { judgeEvidence } from './verdict.ts'

const HELP = `Usage: pnpm demo [--keep] [--json]

Starts the real servers, the Rekey services and three gateways under load; lets one Kafka event replace an inference
API key in Vault and AWS Secrets Manager; kills the rotator midway; and shows that the old key is dead.

  --keep   leave everything running afterwards, until Ctrl-C
  --json   print only the verdict, as JSON

Exit codes: 0 every check passed · 1 a check failed, or the demo could not run · 2 no such option ·
130 interrupted before the verdict
`

const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const

async function run(options: { keep: boolean; json: boolean }): Promise<number> {
  const display = new Display({ quiet: options.json })
  let stage: Stage | undefined
  /** Known once the verdict is: what is kept afterwards ends by Ctrl-C and changes nothing of it. */
  let outcome: number | undefined
  const interruption = new AbortController()
  const interrupted = new Promise<void>((resolve) => {
    const interrupt = () => {
      if (interruption.signal.aborted) return
      display.end('Interrupted: stopping everything')
      interruption.abort()
      resolve()
    }
    process.once('SIGINT', interrupt)
    process.once('SIGTERM', interrupt)
  })
  const work = async () => {
    display.title('The stage')
    stage = await setStage((line) => display.say(line))
    const bus = await connectBus(stage.servers.kafkaBrokers)
    const readers = openReaders(stage)
    const evidence = await play(stage, bus, readers, display, interruption.signal).finally(async () => {
      readers.close()
      await bus.close()
    })
    interruption.signal.throwIfAborted()
    const checks = judgeEvidence(evidence)
    const ok = checks.every((check) => check.ok)
    if (options.json) process.stdout.write(`${JSON.stringify({ ok, checks }, null, 2)}\n`)
    display.verdict(checks)
    display.title(ok ? 'Every node proved the new key, and the old one was refused.' : 'A check failed.')
    outcome = ok ? EXIT.done : EXIT.failed
    if (options.keep) await keep(stage, interrupted)
    return outcome
  }
  try {
    return await Promise.race([work(), interrupted.then(() => outcome ?? EXIT.interrupted)])
  } finally {
    // Not there yet when interrupted during start-up: what already runs ends with this process.
    await stage?.close()
  }
}

async function keep(stage: Stage, interrupted: Promise<void>): Promise<void> {
  const { control } = stage.platform
  process.stdout.write(
    `\nStill running; Ctrl-C ends it. In another terminal:\n` +
      `  export REKEY_URL=${control.url} REKEY_TOKEN_FILE=${control.tokenFile} KAFKA_BROKERS=${stage.servers.kafkaBrokers.join(',')}\n` +
      `  npx --yes pnpm@12.21.0 rekey list\n`,
  )
  await interrupted
}

function options() {
  try {
    return parseArgs({
      options: {
        keep: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}`)
    process.exit(EXIT.usage)
  }
}

const values = options()
if (values.help) {
  process.stdout.write(HELP)
} else {
  try {
    process.exitCode = await run(values)
  } catch (error) {
    // A complaint says what to do; anything else is ours to mend and needs its stack.
    process.stderr.write(
      `${error instanceof Complaint ? error.message : error instanceof Error ? error.stack : error}\n`,
    )
    process.exitCode = EXIT.failed
  }
  // Kept-alive connections of the clients would hold the process.
  process.exit()
}
