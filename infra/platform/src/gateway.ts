import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { forget, watch } from '@rekey/local'
import { SupervisedProcess } from './process.ts'
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
const AGENT = new URL('../../../services/agent/src/main.ts', import.meta.url)

/** A serving node: HAProxy in front of the model endpoint, and Rekey's agent beside it. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { name, port, credential } = options
  const dir = join(options.dir, name)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const map = join(dir, 'keys.map')
  const socket = join(dir, 'stats.sock')
  await writeFile(map, '', { mode: 0o640 })
  const url = `http://127.0.0.1:${port}`

  let haproxy = await startHaproxy(options, { map, socket, log: join(dir, 'haproxy.log'), url })
  const joinTokenFile = join(dir, 'join-token')
  await writeFile(joinTokenFile, options.joinToken, { mode: 0o600 })
  const config = join(dir, 'agent.json')
  // JSON is YAML.
  await writeFile(
    config,
    JSON.stringify({
      node: name,
      fleet: options.fleet,
      joinTokenFile,
      stateDir: join(dir, 'state'),
      vault: { addr: options.vaultAddr },
      adapters: [
        { credential, kind: 'haproxy', socket, map, probeUrl: options.probeUrl ?? `${url}/v1/models` },
      ],
    }),
  )
  const agent = new SupervisedProcess({
    name: `agent-${name}`,
    main: AGENT,
    args: ['run', '--config', config],
    env: options.env ?? {},
    logFile: join(dir, 'agent.log'),
    ready: /a session is open|connected|session/,
  })
  await agent.start()
  return {
    name,
    url,
    agent,
    async restartHaproxy() {
      await end(haproxy, 'SIGKILL')
      haproxy = await startHaproxy(options, { map, socket, log: join(dir, 'haproxy.log'), url })
    },
    async stop() {
      await agent.stop()
      await end(haproxy, 'SIGTERM')
    },
  }
}

async function startHaproxy(
  { haproxy, port, modelPort }: GatewayOptions,
  files: { map: string; socket: string; log: string; url: string },
): Promise<ChildProcess> {
  const log = openSync(files.log, 'a')
  const child = spawn(haproxy, ['-db', '-f', CONFIG.pathname], {
    env: {
      GATEWAY_BIND: `127.0.0.1:${port}`,
      GATEWAY_UPSTREAM: `127.0.0.1:${modelPort}`,
      GATEWAY_MAP: files.map,
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
