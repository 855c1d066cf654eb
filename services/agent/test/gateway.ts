import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureHaproxy } from '@rekey/local'

const TEMPLATE = new URL('../../../examples/haproxy/haproxy.cfg', import.meta.url).pathname

export type Gateway = {
  url: string
  probeUrl: string
  socket: string
  map: string
  graveyard: string
  dir: string
  /** Ends HAProxy at once and starts it again: runtime map and counters are gone. */
  restart(): Promise<void>
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

export async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** The example's HAProxy on free ports, before a model server that answers everything; `/slow?ms=N` takes N ms. */
export async function startGateway(options: { config?: string } = {}): Promise<Gateway> {
  const binary = await ensureHaproxy()
  const dir = await mkdtemp(join(tmpdir(), 'rekey-gw-'))
  const model = await startModel()
  const port = await freePort()
  const socket = join(dir, 'haproxy.sock')
  const map = join(dir, 'keys.map')
  const graveyard = join(dir, 'graveyard.map')
  await writeFile(map, '')
  await writeFile(graveyard, '')
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    child = spawn(binary, ['-f', options.config ?? TEMPLATE, '-db'], {
      env: {
        ...process.env,
        GATEWAY_BIND: `127.0.0.1:${port}`,
        GATEWAY_UPSTREAM: `127.0.0.1:${(model.address() as AddressInfo).port}`,
        GATEWAY_MAP: map,
        GATEWAY_GRAVEYARD: graveyard,
        GATEWAY_SOCKET: socket,
      },
      stdio: 'ignore',
    })
    for (let tries = 0; !(await accepts(port)); tries += 1) {
      if (tries > 200 || child.exitCode !== null) throw new Error('HAProxy does not come up')
      await sleep(20)
    }
  }

  async function kill(): Promise<void> {
    const old = child
    child = undefined
    if (!old || old.exitCode !== null) return
    const ended = once(old, 'exit')
    old.kill('SIGKILL')
    await ended
  }

  await start()
  return {
    url: `http://127.0.0.1:${port}`,
    probeUrl: `http://127.0.0.1:${port}/v1/models`,
    socket,
    map,
    graveyard,
    dir,
    start,
    kill,
    async restart() {
      await kill()
      await start()
    },
    async stop() {
      await kill()
      model.close()
      model.closeAllConnections()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function startModel(): Promise<Server> {
  const server = createServer((request, response) => {
    const ms = Number(new URL(request.url ?? '/', 'http://model').searchParams.get('ms') ?? 0)
    const answer = () => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ headers: request.headers }))
    }
    if (ms > 0) setTimeout(answer, ms)
    else answer()
  })
  server.keepAliveTimeout = 120_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(port, '127.0.0.1')
    probe.on('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.on('error', () => resolve(false))
  })
}
