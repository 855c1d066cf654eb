import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'

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
  #ready: PromiseWithResolvers<void> = Promise.withResolvers()

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
    const { promise } = this.#ready
    const timer = setTimeout(() => {
      this.#ready.reject(new Error(`${this.spec.name} is not ready; see ${this.spec.logFile}`))
    }, READY_MS)
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
    this.#ready.promise.catch(() => undefined)
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
    this.#ready = Promise.withResolvers()
    this.#ready.promise.catch(() => undefined)
    const child = spawn(process.execPath, [main.pathname, ...args], {
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', NODE_NO_WARNINGS: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    let tail = ''
    const read = (chunk: Buffer) => {
      this.#log.write(chunk)
      tail = (tail + chunk.toString()).slice(-4_000)
      if (this.spec.ready.test(tail)) this.#ready.resolve()
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('exit', (code, signal) => {
      if (this.#stopped) return
      this.restarts++
      this.#log.write(`${JSON.stringify({ supervisor: name, code, signal, restarts: this.restarts })}\n`)
      // At once after a kill; a process that cannot start is not hammered.
      setTimeout(() => !this.#stopped && this.#spawn(), signal === 'SIGKILL' ? 0 : 500)
    })
  }
}
