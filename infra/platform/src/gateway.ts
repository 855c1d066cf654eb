import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Secret } from '@rekey/contracts'
import { forget, watch } from '@rekey/local'
import { startAgent } from './agent.ts'
import type { SupervisedProcess } from './process.ts'
import type { Platform } from './services.ts'

export type GatewayOptions = {
  /** Node name, such as `gateway-1`. */
  name: string
  credential: string
  port: number
  modelPort: number
  dir: string
  haproxy: string
  fleet: Platform['fleet']
  vaultAddr: string
  joinToken: string
  /** Where the agent tries values; by default at this gateway. */
  probeUrl?: string
  /** Keys that the gateway accepts before Rekey's agent has told it anything: somebody put them there by hand. */
  keysByHand?: Secret[]
  /** What the agent says of its node. */
  labels?: Record<string, string>
  /** Extra environment of the agent. */
  env?: Record<string, string>
}

export type Gateway = {
  name: string
  url: string
  agent: SupervisedProcess
  /** SIGKILL of HAProxy and a new one, as after a crash: its runtime map and counters are lost. */
  restartHaproxy(): Promise<void>
  stop(): Promise<void>
}

const CONFIG = new URL('../../../examples/haproxy/haproxy.cfg', import.meta.url)

/** A serving node: HAProxy in front of the model endpoint, and Rekey's agent beside it. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { name, port, credential } = options
  const dir = join(options.dir, name)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const map = join(dir, 'keys.map')
  const graveyard = join(dir, 'graveyard.map')
  const socket = join(dir, 'stats.sock')
  const byHand = (options.keysByHand ?? []).map((key, n) => `${sha256(key)} by-hand-${n + 1}\n`)
  await writeFile(map, byHand.join(''), { mode: 0o640 })
  await writeFile(graveyard, '', { mode: 0o640 })
  const url = `http://127.0.0.1:${port}`

  const files = { map, graveyard, socket, log: join(dir, 'haproxy.log'), url }
  let haproxy = await startHaproxy(options, files)
  const agent = await startAgent({
    name,
    dir,
    fleet: options.fleet,
    vaultAddr: options.vaultAddr,
    joinToken: options.joinToken,
    adapters: [
      {
        credential,
        kind: 'haproxy',
        socket,
        map,
        graveyard,
        probeUrl: options.probeUrl ?? `${url}/v1/models`,
      },
    ],
    ...(options.labels && { labels: options.labels }),
    ...(options.env && { env: options.env }),
  })
  return {
    name,
    url,
    agent,
    async restartHaproxy() {
      await end(haproxy, 'SIGKILL')
      haproxy = await startHaproxy(options, files)
    },
    async stop() {
      await agent.stop()
      await end(haproxy, 'SIGTERM')
    },
  }
}

function sha256(key: Secret): string {
  return createHash('sha256').update(key.reveal()).digest('hex')
}

async function startHaproxy(
  { haproxy, port, modelPort }: GatewayOptions,
  files: { map: string; graveyard: string; socket: string; log: string; url: string },
): Promise<ChildProcess> {
  const log = openSync(files.log, 'a')
  const child = spawn(haproxy, ['-db', '-f', CONFIG.pathname], {
    env: {
      GATEWAY_BIND: `127.0.0.1:${port}`,
      GATEWAY_UPSTREAM: `127.0.0.1:${modelPort}`,
      GATEWAY_MAP: files.map,
      GATEWAY_GRAVEYARD: files.graveyard,
      GATEWAY_SOCKET: files.socket,
    },
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  if (child.pid !== undefined) watch(`group ${child.pid} KILL`)
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null || child.signalCode !== null) {
      forget(`group ${child.pid ?? 0} KILL`)
      const said = (await readFile(files.log, 'utf8')).trimEnd().split('\n').slice(-5).join('\n')
      throw new Error(`HAProxy ended while starting (${child.exitCode ?? child.signalCode}):\n${said}`)
    }
    if (
      await fetch(`${files.url}/healthz`).then(
        (r) => r.ok,
        () => false,
      )
    )
      return child
    await delay(25)
  }
  throw new Error(`HAProxy did not answer on ${files.url}; see ${files.log}`)
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
  forget(`group ${child.pid ?? 0} KILL`)
}
