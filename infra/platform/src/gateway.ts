import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '@rekey/contracts'
import { type AgentSettings, startAgent } from './agent.ts'
import { GatewayServer } from './gateway-server.ts'
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
  /** Extra settings of the agent. */
  agent?: AgentSettings
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

  const haproxy = new GatewayServer({
    name: 'HAProxy',
    command: options.haproxy,
    args: ['-db', '-f', CONFIG.pathname],
    env: {
      GATEWAY_BIND: `127.0.0.1:${port}`,
      GATEWAY_UPSTREAM: `127.0.0.1:${options.modelPort}`,
      GATEWAY_MAP: map,
      GATEWAY_GRAVEYARD: graveyard,
      GATEWAY_SOCKET: socket,
    },
    logFile: join(dir, 'haproxy.log'),
    url,
  })
  await haproxy.start()
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
    ...(options.agent && { settings: options.agent }),
  })
  return {
    name,
    url,
    agent,
    async restartHaproxy() {
      await haproxy.end('SIGKILL')
      await haproxy.start()
    },
    async stop() {
      await agent.stop()
      await haproxy.end('SIGTERM')
    },
  }
}

function sha256(key: Secret): string {
  return createHash('sha256').update(key.reveal()).digest('hex')
}
