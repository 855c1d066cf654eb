import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { lastLine } from './command.ts'
import { Complaint } from './complaint.ts'
import { endGroup, startTime } from './process-group.ts'
import { forget, watch } from './reaper.ts'

export type ServerName = 'kafka' | 'redis' | 'postgres' | 'vault' | 'aws'

/** One server of a stack. Its data and port stay the same over any number of kills and starts. */
export type Server = {
  name: ServerName
  /** How it came: given by the environment, run by Docker, or started here. Only the last two can be killed and started. */
  origin: 'environment' | 'docker' | 'native'
  start(): Promise<void>
  /** As an operator would: it may finish what it does. */
  stop(): Promise<void>
  /** SIGKILL, children included, as the kernel would when memory runs out. */
  kill(): Promise<void>
  /** Told when it ends without having been asked to. */
  onDeath?(listener: () => void): void
}

export type ProcessSpec = {
  name: ServerName
  dir: string
  command: string
  args: readonly string[]
  cwd?: string
  env?: Record<string, string>
  user?: { uid: number; gid: number } | undefined
  stopSignal: NodeJS.Signals
  /** What ends it at once and leaves nothing in the kernel: PostgreSQL keeps shared memory after SIGKILL. */
  reapSignal: 'KILL' | 'QUIT'
  /** Asked until true; a throw means not yet. */
  ready: () => Promise<boolean>
  /** After each start, before anybody may use it. */
  afterStart?: () => Promise<void>
}

const START_DEADLINE_MS = 90_000

export function nativeServer(spec: ProcessSpec): Server {
  let child: ChildProcess | undefined
  let mourner = () => {}
  const pidFile = join(spec.dir, 'run', spec.name)

  async function end(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    const pid = child?.pid
    if (pid === undefined) return
    child = undefined
    await endGroup(pid, signal, graceMs)
    forget(`group ${pid} ${spec.reapSignal}`)
    await rm(pidFile, { force: true })
  }

  return {
    name: spec.name,
    origin: 'native',
    async start() {
      await end('SIGKILL', 0)
      const log = openSync(logFile(spec.dir, spec.name), 'a')
      child = spawn(spec.command, spec.args, {
        cwd: spec.cwd ?? spec.dir,
        // Not the caller's environment: it may hold tokens and keys, and what a server sees should not depend on it.
        env: { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: spec.dir, LANG: 'C.UTF-8', ...spec.env },
        detached: true,
        stdio: ['ignore', log, log],
        ...spec.user,
      })
      closeSync(log)
      const started = child
      const exited = new Promise<string>((resolve) => {
        started.once('error', (error) => resolve(error.message))
        started.once('exit', () => resolve(lastWords(logFile(spec.dir, spec.name))))
      })
      started.unref()
      if (started.pid === undefined) throw new Complaint(`${spec.name} could not be run: ${await exited}.`)
      watch(`group ${started.pid} ${spec.reapSignal}`)
      await writeFile(pidFile, `${started.pid} ${await startTime(started.pid)} ${spec.reapSignal}\n`)
      await untilReady(spec, exited)
      await spec.afterStart?.()
      void exited.then(async () => {
        if (child !== started) return
        // What it leaves (a plugin) goes too, and its number is taken off the reaper's list: somebody else may get it.
        await end('SIGKILL', 0)
        mourner()
      })
    },
    onDeath(listener) {
      mourner = listener
    },
    stop: () => end(spec.stopSignal, 3_000),
    kill: () => end('SIGKILL', 0),
  }
}

/** Nothing, where the folder is gone already: the news of an end may come after the clearing up. */
function lastWords(file: string): string {
  try {
    return lastLine(readFileSync(file, 'utf8'))
  } catch {
    return ''
  }
}

export function logFile(dir: string, name: string): string {
  return join(dir, 'logs', `${name}.log`)
}

/** Kafka, Redis … that we did not start. */
export function givenServer(name: ServerName): Server {
  const refuse = async () => {
    throw new Complaint(
      `${name} was given by the environment: it can only be started and stopped where it was started.`,
    )
  }
  return { name, origin: 'environment', start: refuse, stop: async () => {}, kill: refuse }
}

async function untilReady(spec: ProcessSpec, exited: Promise<string>): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS
  let lastWords: string | undefined
  void exited.then((line) => {
    lastWords = line || 'it said nothing'
  })
  for (;;) {
    if (lastWords !== undefined)
      throw new Complaint(
        `${spec.name} stopped while starting (${lastWords}): see ${logFile(spec.dir, spec.name)} for the reason.`,
      )
    if (await spec.ready().catch(() => false)) return
    if (performance.now() > deadline)
      throw new Complaint(
        `${spec.name} was not ready after ${START_DEADLINE_MS / 1000} s: see ${logFile(spec.dir, spec.name)}, and try ` +
          'again when the machine is less busy.',
      )
    await delay(40)
  }
}
