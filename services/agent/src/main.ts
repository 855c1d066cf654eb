#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { EXIT, HELP, readCommandLine } from './command-line.ts'
import { type AgentConfig, readConfigFile } from './config.ts'
import { ConfigError } from './config-file.ts'
import { EnrolmentError } from './enrolment-error.ts'
import { askStatus, isReady } from './status-socket.ts'
import { statusText } from './status-text.ts'

async function status(config: AgentConfig, json: boolean): Promise<number> {
  const answer = existsSync(config.stateDir) ? await askStatus(config.stateDir) : undefined
  if (!answer) {
    process.stdout.write(json ? `${JSON.stringify({ running: false })}\n` : 'no agent runs here\n')
    return EXIT.notRunning
  }
  const ready = isReady(answer)
  process.stdout.write(json ? `${JSON.stringify({ running: true, ready, ...answer })}\n` : statusText(answer))
  return ready ? EXIT.done : EXIT.notReady
}

async function main(): Promise<number | undefined> {
  const line = readCommandLine(process.argv.slice(2))
  if (line.command === 'help') {
    process.stdout.write(HELP)
    return EXIT.done
  }
  if (line.command === 'wrong') {
    process.stderr.write(`rekey-agent: ${line.why}\n\n${HELP}`)
    return EXIT.usage
  }
  if (line.command === 'authorizer') {
    const { runAuthorizer } = await import('./authorizer/run.ts')
    await runAuthorizer(line.config)
    return undefined
  }
  const config = await readConfigFile(line.config)
  if (line.command === 'status') return status(config, line.json)
  // Not before they are needed: who only asks for the status, as a readiness probe does all day, waits for none of them.
  const { enrolOnce, run } = await import('./run.ts')
  if (line.command === 'enrol') {
    await enrolOnce(config)
    return EXIT.done
  }
  await run(config)
  return undefined
}

try {
  const code = await main()
  if (code !== undefined) process.exit(code)
} catch (error) {
  process.stderr.write(`rekey-agent: ${(error as Error).message}\n`)
  if (error instanceof ConfigError) process.exit(EXIT.usage)
  process.exit(error instanceof EnrolmentError && !error.transient ? EXIT.notEnrolled : EXIT.error)
}
