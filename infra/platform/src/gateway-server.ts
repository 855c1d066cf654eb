import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { forget, watch } from '@rekey/local'

type GatewayServerOptions = {
  /** As it is called in words. */
  name: string
  command: string
  args: string[]
  env?: Record<string, string>
  logFile: string
  url: string
}

/** The software of a gateway that is started, and killed as a crash would. */
export class GatewayServer {
  readonly #options: GatewayServerOptions
  #child: ChildProcess | undefined

  constructor(options: GatewayServerOptions) {
    this.#options = options
  }

  /** Resolves when it answers `/healthz`. */
  async start(): Promise<void> {
    const { name, command, args, env = {}, logFile, url } = this.#options
    const log = openSync(logFile, 'a')
    const child = spawn(command, args, { env, stdio: ['ignore', log, log], detached: true })
    closeSync(log)
    this.#child = child
    if (child.pid !== undefined) watch(`group ${child.pid} KILL`)
    for (let tries = 0; tries < 200; tries++) {
      if (child.exitCode !== null || child.signalCode !== null) {
        forget(`group ${child.pid ?? 0} KILL`)
        const said = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-5).join('\n')
        throw new Error(`${name} ended while starting (${child.exitCode ?? child.signalCode}):\n${said}`)
      }
      const isUp = await fetch(`${url}/healthz`).then(
        (r) => r.ok,
        () => false,
      )
      if (isUp) return
      await delay(25)
    }
    throw new Error(`${name} did not answer on ${url}; see ${logFile}`)
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
    forget(`group ${child.pid ?? 0} KILL`)
  }
}
