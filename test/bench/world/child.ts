import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { forget, watch } from '@rekey/local'

export type ChildSpec = {
  name: string
  main: URL
  /** Loaded before it. */
  preload?: URL
  /** Options of node itself, such as a profiler's. */
  execArgv?: readonly string[]
  env: Record<string, string>
  logFile: string
}

/** One service as a process of its own, with a channel for messages. It is not started again: if it dies, the run is void. */
export class Child {
  readonly name: string
  readonly #child: ChildProcess
  readonly #logFile: string
  #isStopping = false
  #failed: Error | undefined

  constructor({ name, main, preload, execArgv = [], env, logFile }: ChildSpec) {
    this.name = name
    this.#logFile = logFile
    const log = openSync(logFile, 'a')
    this.#child = spawn(
      process.execPath,
      [...execArgv, ...(preload ? ['--import', preload.href] : []), main.pathname],
      {
        env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', NODE_NO_WARNINGS: '1', ...env },
        stdio: ['ignore', log, log, 'ipc'],
        // A group of its own, which goes with us even if we are killed.
        detached: true,
      },
    )
    closeSync(log)
    this.#child.unref()
    this.#child.channel?.unref()
    const guarded = this.pid === undefined ? undefined : (`group ${this.pid} KILL` as const)
    if (guarded) watch(guarded)
    this.#child.on('exit', (code, signal) => {
      if (guarded) forget(guarded)
      if (!this.#isStopping)
        this.#failed = new Error(`${name} ended by itself (${code ?? signal}): ${this.#lastWords()}`)
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Throws if it has died: what is measured without it says nothing. */
  check(): void {
    if (this.#failed) throw this.#failed
  }

  send(message: object): void {
    if (this.#child.connected) this.#child.send(message)
  }

  onMessage<T>(heard: (message: T) => void): void {
    this.#child.on('message', (message) => heard(message as T))
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.ref()
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 6_000)
    await exited
    clearTimeout(timer)
  }

  #lastWords(): string {
    return readFileSync(this.#logFile, 'utf8').trim().split('\n').slice(-3).join(' ').slice(-600)
  }
}
