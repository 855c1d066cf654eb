import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, rmSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CommandFailed, lastLine } from './command.ts'
import { Complaint } from './complaint.ts'
import { clearFolder } from './folder.ts'
import { GIVEN } from './given.ts'
import { endOrphans } from './orphan.ts'
import { accepts } from './port.ts'
import { provision } from './provision.ts'
import { logFile } from './server.ts'
import { startStack } from './stack.ts'
import { endLauncher, readState, type State, writeState } from './state.ts'

const HELP = `The servers that Rekey needs, on this machine: Kafka, Redis, PostgreSQL, Vault and an AWS endpoint.

  pnpm stack up            start them, make topics and identities, and stay; Ctrl-C stops all
  pnpm stack up --detach   the same in the background
  pnpm stack status        which run, and where; --json for programs
  pnpm stack logs NAME     what kafka, redis, postgres, vault, aws or up has written; --follow to stay
  pnpm stack down          stop all, also what a crash left behind

  --dir DIR   where logs, data and identities lie (.rekey/stack, or REKEY_STACK_DIR)

A server that KAFKA_BROKERS, REDIS_URL, DATABASE_URL, VAULT_ADDR or AWS_ENDPOINT_URL names is used and not started;
one on another machine only with REKEY_STACK_USE_ENV=yes.
Exit codes: 0 done · 1 failed, or a server does not answer · 2 not a command of this kind · 3 status: nothing runs.
`

const EXIT = { done: 0, failed: 1, usage: 2, notRunning: 3 } as const

// kafkajs sets a timer of less than zero, which newer versions of Node mention once per process.
const emitWarning = process.emitWarning.bind(process)
process.emitWarning = ((warning: string | Error, ...rest: never[]) => {
  if (!String(rest[0]).includes('TimeoutNegativeWarning')) emitWarning(warning, ...rest)
}) as typeof process.emitWarning

const say = (line: string) => void process.stdout.write(`${line}\n`)

async function up(dir: string): Promise<number> {
  if (await readState(dir))
    throw new Complaint(
      'The stack is up already: see `pnpm stack status`, or stop it with `pnpm stack down`.',
    )
  await mkdir(dir, { recursive: true })
  // One listener for good: while one is exchanged for another, a signal that has just come in is lost.
  let onSignal: () => void = () => {
    // Still being set up: there is nothing to save, and leaving ends it all.
    for (const secret of ['admin', 'identities', 'stack.json'])
      rmSync(join(dir, secret), { recursive: true, force: true })
    process.exit(EXIT.failed)
  }
  for (const signal of SIGNALS) process.on(signal, () => onSignal())
  try {
    await writeState(dir)
    const stack = await startStack({ dir, ports: 'fixed', onProgress: say })
    const identities = await provision(stack)
    await writeState(dir, stack, identities.dir)
    await new Promise<void>((asked) => {
      onSignal = asked
      // Nothing else keeps this process: its servers are on their own, and signals do not count.
      setInterval(() => {}, 60_000)
      say(summary(stack.env, identities.dir, stack.vault.rootTokenFile, stack.aws.adminCredentialsFile))
    })
    say('stopping')
    await stack.stop()
    return EXIT.done
  } finally {
    await rm(join(dir, 'stack.json'), { force: true })
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function summary(env: Record<string, string>, identities: string, token: string, keys: string): string {
  return [
    '',
    'The stack is up. For a service or a test that is to use it:',
    '',
    ...Object.entries(env).map(([name, value]) => `  export ${name}=${value}`),
    '',
    'Identities of the services (Vault role and secret id, AWS keys):',
    `  ${identities}`,
    'To administer it:',
    `  export VAULT_TOKEN_FILE=${token} AWS_SHARED_CREDENTIALS_FILE=${keys}`,
    '',
    'Ctrl-C, or `pnpm stack down`, stops all; the next start begins empty.',
  ].join('\n')
}

async function detach(dir: string): Promise<number> {
  await mkdir(dir, { recursive: true })
  const file = join(dir, 'up.log')
  const log = openSync(file, 'w')
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'up', '--dir', dir], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let exited = false
  child.once('exit', () => {
    exited = true
  })
  let shown = 0
  for (;;) {
    const written = await readFile(file, 'utf8')
    process.stdout.write(written.slice(shown))
    shown = written.length
    if (exited) return EXIT.failed
    if ((await readState(dir))?.ready && written.trimEnd().endsWith('begins empty.')) {
      child.unref()
      return EXIT.done
    }
    await delay(100)
  }
}

async function status(dir: string, json: boolean): Promise<number> {
  const state = await readState(dir)
  const servers = state ? await Promise.all(state.servers.map((server) => look(server, state))) : []
  const ready = state?.ready ?? false
  if (json) say(JSON.stringify({ running: state !== undefined, ready, dir, ...state, servers }, undefined, 2))
  else if (!state) say('The stack is not running: start it with `pnpm stack up`.')
  else if (!ready) say(`The stack is starting (process ${state.launcher.pid}).`)
  else
    for (const { name, origin, address, up } of servers)
      say(`${name.padEnd(9)}${up ? 'up  ' : 'DOWN'}  ${address}  (${origin})`)
  if (!state) return EXIT.notRunning
  return ready && servers.every((server) => server.up) ? EXIT.done : EXIT.failed
}

async function look({ name, origin }: State['servers'][number], state: State) {
  const address = state.env[GIVEN[name]] ?? ''
  const { hostname, port } = new URL(address.includes('://') ? address : `tcp://${address.split(',')[0]}`)
  return { name, origin, address, up: await accepts(Number(port), hostname) }
}

async function logs(dir: string, name: string | undefined, follow: boolean): Promise<number> {
  const file = name === 'up' ? join(dir, 'up.log') : logFile(dir, name ?? '')
  if (!name || !existsSync(file)) {
    const there = existsSync(join(dir, 'logs'))
      ? readdirSync(join(dir, 'logs')).map((log) => log.replace('.log', ''))
      : []
    throw new Complaint(
      `There is no log of ${name ?? 'nothing'}: name one of ${there.join(', ') || 'a stack that was started'}.`,
    )
  }
  const tail = spawn('tail', ['-n', '+1', ...(follow ? ['-F'] : []), file], { stdio: 'inherit' })
  return new Promise((ended) => tail.once('exit', (code) => ended(code ?? EXIT.done)))
}

async function down(dir: string): Promise<number> {
  const stopped = await endLauncher(dir)
  const orphans = await endOrphans(dir)
  await clearFolder(dir)
  await rm(join(dir, 'stack.json'), { force: true })
  if (orphans.length > 0) say(`ended what a crash had left: ${orphans.join(', ')}`)
  say(stopped || orphans.length > 0 ? 'The stack is down.' : 'Nothing was running.')
  return EXIT.done
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean' },
      detach: { type: 'boolean', short: 'd' },
      follow: { type: 'boolean', short: 'f' },
      dir: { type: 'string' },
    },
  })
  const [command, name] = positionals
  if (values.help) {
    process.stdout.write(HELP)
    return EXIT.done
  }
  const root = fileURLToPath(new URL('../../../', import.meta.url))
  const dir = resolve(values.dir ?? process.env.REKEY_STACK_DIR ?? join(root, '.rekey', 'stack'))
  if (command === 'up') return values.detach ? detach(dir) : up(dir)
  if (command === 'status') return status(dir, values.json ?? false)
  if (command === 'logs') return logs(dir, name, values.follow ?? false)
  if (command === 'down') return down(dir)
  process.stderr.write(HELP)
  return EXIT.usage
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    const usage = String((error as { code?: string }).code).startsWith('ERR_PARSE_ARGS')
    if (usage || error instanceof Complaint || error instanceof CommandFailed)
      process.stderr.write(`${lastLine((error as Error).message)}\n`)
    else console.error(error)
    process.exit(usage ? EXIT.usage : EXIT.failed)
  },
)
