import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '@rekey/local'
import { GatewayServer } from '@rekey/platform'

const CONFIG = new URL('front.cfg', import.meta.url).pathname
const UP_MS = 15_000

/** The balancer between clients and gateways. */
export async function startFront(haproxy: string, dir: string, gateways: { haproxy: number; nginx: number }) {
  const port = await freePort()
  const socket = join(dir, 'front.sock')
  const server = new GatewayServer({
    name: 'the balancer',
    command: haproxy,
    args: ['-db', '-f', CONFIG],
    env: {
      FRONT_BIND: `127.0.0.1:${port}`,
      FRONT_SOCKET: socket,
      GATEWAY_1: `127.0.0.1:${gateways.haproxy}`,
      GATEWAY_2: `127.0.0.1:${gateways.nginx}`,
    },
    logFile: join(dir, 'front.log'),
    url: `http://127.0.0.1:${port}`,
  })
  await server.start()
  return {
    port,
    /** Until it sends requests to both gateways. */
    async bothUp(): Promise<void> {
      const end = performance.now() + UP_MS
      for (;;) {
        const states = statesOf(await ask(socket, 'show stat'))
        if (states.length === 4 && states.every((state) => state.startsWith('UP'))) return
        if (performance.now() > end) throw new Error(`the balancer sees its gateways as ${states.join(', ')}`)
        await delay(50)
      }
    },
    stop: () => server.end('SIGTERM'),
  }
}

/** Of each server in each backend. */
function statesOf(text: string): string[] {
  const [head = '', ...lines] = text.replace(/^# /, '').trim().split('\n')
  const at = head.split(',').indexOf('status')
  return lines
    .map((line) => line.split(','))
    .filter(([, name = '']) => !['FRONTEND', 'BACKEND'].includes(name))
    .flatMap((fields) => fields[at] ?? [])
}

function ask(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(path, () => socket.write(`${command}\n`))
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', reject)
    socket.on('end', () => resolve(text))
  })
}
