import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freePort } from './port.ts'
import { groupLives } from './process-group.ts'
import { startStack } from './stack.ts'

// What is tested here is the way without Docker.
process.env.REKEY_STACK_DOCKER = 'no'

let dir: string
const launchers: (() => void)[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-launcher-'))
})

afterEach(async () => {
  for (const end of launchers.splice(0)) end()
  await rm(dir, { recursive: true, force: true })
})

/** A program that starts Redis, PostgreSQL and Vault and then waits. */
async function launch() {
  const script = join(dir, 'launch.ts')
  const index = fileURLToPath(new URL('index.ts', import.meta.url))
  await writeFile(
    script,
    `import { startStack } from ${JSON.stringify(index)}
     const stack = await startStack({ dir: ${JSON.stringify(join(dir, 'stack'))}, only: ['redis', 'postgres', 'vault'] })
     console.log('ready')
     setInterval(() => {}, 1000)`,
  )
  return follow(spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'pipe'] }), (output) =>
    output.includes('ready'),
  )
}

const main = fileURLToPath(new URL('main.ts', import.meta.url))

async function command(
  args: string[],
  env: Record<string, string>,
  ended: (line: string) => boolean = () => false,
) {
  const options = {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'],
  }
  return follow(spawn(process.execPath, [main, ...args, '--dir', join(dir, 'stack')], options), ended)
}

async function follow(child: ReturnType<typeof spawn>, ended: (line: string) => boolean) {
  let output = ''
  let code: number | null | undefined
  launchers.push(() => child.kill('SIGKILL'))
  child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  child.stderr?.on('data', (chunk) => {
    output += chunk
  })
  const exited = new Promise<void>((resolve) =>
    child.once('close', (status) => {
      code = status
      resolve()
    }),
  )
  while (code === undefined && !ended(output)) await delay(20)
  return {
    pid: child.pid ?? 0,
    output: () => output,
    code: () => code,
    exited,
    end: (signal: NodeJS.Signals) => child.kill(signal),
  }
}

async function groups(): Promise<number[]> {
  const run = join(dir, 'stack', 'run')
  const files = await readdir(run)
  return Promise.all(
    files.map(async (name) => Number((await readFile(join(run, name), 'utf8')).split(' ')[0])),
  )
}

async function untilGone(pgids: number[]): Promise<void> {
  while (pgids.some((pgid) => groupLives(pgid))) await delay(20)
}

describe('when its launcher is killed', () => {
  test('no server outlives it', async () => {
    const launcher = await launch()
    const servers = await groups()
    expect(servers).toHaveLength(3)
    expect(servers.every((pgid) => groupLives(pgid))).toBe(true)
    process.kill(launcher.pid, 'SIGKILL')
    await untilGone(servers)
    await untilNothingWorksIn(join(dir, 'stack'))
  })

  test('`down` ends what is left, should even the reaper have been killed', async () => {
    const launcher = await launch()
    const servers = await groups()
    // Stopped first, or it would see its reaper die and start another.
    process.kill(launcher.pid, 'SIGSTOP')
    const reapers = await processesWith('reaper.sh', launcher.pid)
    expect(reapers).toHaveLength(1)
    for (const pid of [...reapers, launcher.pid]) process.kill(pid, 'SIGKILL')
    expect(servers.every((pgid) => groupLives(pgid))).toBe(true)
    const down = await command(['down'], {})
    await down.exited
    await untilGone(servers)
    expect(down.output()).toContain('ended what a crash had left')
    await untilNothingWorksIn(join(dir, 'stack'))
  })
})

describe('a port in use', () => {
  test('gives one sentence that says what to do, and leaves nothing running', async () => {
    const port = await freePort()
    const squatter = createServer().listen(port, '127.0.0.1')
    try {
      const env = { ...(await otherPorts()), REKEY_REDIS_PORT: String(port) }
      const up = await command(['up'], env)
      await up.exited
      expect(up.code()).toBe(1)
      const last = up.output().trimEnd().split('\n').at(-1) ?? ''
      expect(last).toMatch(
        new RegExp(`^Port ${port} on 127.0.0.1, which Redis needs, is in use: stop .* REDIS_URL\\.$`),
      )
      expect(up.output()).not.toMatch(/\n {4}at /)
      expect(await readdir(join(dir, 'stack'))).toEqual(['logs'])
    } finally {
      squatter.close()
    }
  })
})

describe('pnpm stack', () => {
  test('goes up, tells its status, shows logs, and goes down with its launcher on SIGTERM', async () => {
    const env = await otherPorts()
    const up = await command(['up'], env, (output) => output.includes('begins empty'))
    expect(up.output()).toContain(`export REDIS_URL=redis://127.0.0.1:${env.REKEY_REDIS_PORT}`)
    const servers = await groups()
    expect(servers).toHaveLength(5)

    const status = await command(['status', '--json'], {})
    await status.exited
    const { running, ready, servers: listed } = JSON.parse(status.output())
    expect({ running, ready, up: listed.map((server: { up: boolean }) => server.up) }).toEqual({
      running: true,
      ready: true,
      up: [true, true, true, true, true],
    })
    expect(status.code()).toBe(0)

    const second = await command(['up'], env)
    await second.exited
    expect(second.output()).toMatch(/^The stack is up already/)

    const logs = await command(['logs', 'redis'], {})
    await logs.exited
    expect(logs.output()).toContain('Ready to accept connections')

    const redis = Number((await readFile(join(dir, 'stack', 'run', 'redis'), 'utf8')).split(' ')[0])
    process.kill(redis, 'SIGKILL')
    while (!up.output().includes('redis has ended by itself')) await delay(20)

    up.end('SIGTERM')
    await up.exited
    await untilGone(servers)
    const after = await command(['status'], {})
    await after.exited
    expect(after.code()).toBe(3)
    expect(await readdir(join(dir, 'stack'))).toEqual(['logs'])
  })
})

test('a stack without a folder of its own leaves none behind', async () => {
  const stack = await startStack({ only: ['redis'] })
  expect(existsSync(stack.dir)).toBe(true)
  await stack.stop()
  expect(existsSync(stack.dir)).toBe(false)
})

async function otherPorts(): Promise<Record<string, string>> {
  const names = ['KAFKA', 'KAFKA_CONTROLLER', 'REDIS', 'POSTGRES', 'VAULT', 'VAULT_CLUSTER', 'AWS']
  const ports: Record<string, string> = {}
  for (const name of names) ports[`REKEY_${name}_PORT`] = String(await freePort())
  return ports
}

async function processesWith(text: string, parent: number): Promise<number[]> {
  const found: number[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const args = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    if (args.includes(text) && status.includes(`PPid:\t${parent}\n`)) found.push(Number(pid))
  }
  return found
}

/** PostgreSQL puts each child into a group of its own, so the groups are not the whole story. */
async function untilNothingWorksIn(folder: string): Promise<void> {
  for (;;) {
    const pids = (await readdir('/proc')).filter((pid) => /^\d+$/.test(pid))
    const folders = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')))
    if (!folders.some((at) => at.startsWith(folder))) return
    await delay(20)
  }
}
