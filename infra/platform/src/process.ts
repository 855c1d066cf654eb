import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { forget, watch } from '@rekey/local'

export type ProcessSpec = {
  name: string
  /** The file that node runs, and its arguments. */
  main: URL
  args?: string[]
  env: Record<string, string>
  logFile: string
  /** A line of its log that says that it is ready. */
  ready: RegExp
}

const READY_MS = 30_000

/** One Rekey process. It is started again when it dies, as a supervisor would, unless it was stopped. */
export class SupervisedProcess {
  readonly spec: ProcessSpec
  restarts = 0
  #child: ChildProcess | undefined
  #log: WriteStream
  #stopped = false
  #ready = awaited()
  #isReady = false

  constructor(spec: ProcessSpec) {
    this.spec = spec
    this.#log = createWriteStream(spec.logFile, { flags: 'a' })
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves when the process says that it is ready. */
  async start(): Promise<void> {
    this.#stopped = false
    this.#spawn()
    await this.untilReady()
  }

  async untilReady(): Promise<void> {
    const { promise, reject } = this.#ready
    const why = new Error(
      `${this.spec.name} is not ready after ${READY_MS / 1000} s; see ${this.spec.logFile}`,
    )
    const timer = setTimeout(() => reject(why), READY_MS)
    await promise.finally(() => clearTimeout(timer))
  }

  /** SIGKILL; resolves when it is gone. The supervisor starts it again. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  async stop(): Promise<void> {
    this.#stopped = true
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 6_000)
      await exited
      clearTimeout(timer)
    }
    this.#log.end()
  }

  #spawn(): void {
    const { main, args = [], env, name } = this.spec
    const child = spawn(process.execPath, [main.pathname, ...args], {
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', NODE_NO_WARNINGS: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, which goes with us even if we are killed.
      detached: true,
    })
    this.#child = child
    const guarded = child.pid === undefined ? undefined : (`group ${child.pid} KILL` as const)
    if (guarded) watch(guarded)
    let tail = ''
    const read = (chunk: Buffer) => {
      this.#log.write(chunk)
      tail = (tail + chunk.toString()).slice(-4_000)
      if (!this.spec.ready.test(tail)) return
      this.#isReady = true
      this.#ready.resolve()
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('exit', (code, signal) => {
      if (guarded) forget(guarded)
      if (this.#stopped) return
      if (this.#isReady) this.#ready = awaited()
      this.#isReady = false
      this.restarts++
      this.#log.write(`${JSON.stringify({ supervisor: name, code, signal, restarts: this.restarts })}\n`)
      // At once after a kill; a process that cannot start is not hammered.
      setTimeout(() => !this.#stopped && this.#spawn(), signal === 'SIGKILL' ? 0 : 500)
    })
  }
}

/** Nobody need be waiting when it fails. */
function awaited(): PromiseWithResolvers<void> {
  const resolvers = Promise.withResolvers<void>()
  resolvers.promise.catch(() => undefined)
  return resolvers
}
