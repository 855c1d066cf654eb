import { once } from 'node:events'
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { startHttpServer } from './http-server.ts'

/** What the proxy does to one request. */
export type Fault =
  /** The server acts and answers, but the answer never arrives: the connection is cut. */
  | { kind: 'lose-reply' }
  /** The request never reaches the server, and the connection is cut. */
  | { kind: 'lose-request' }
  /** Answered by the proxy in place of the server. A function sees the request's body. */
  | {
      kind: 'answer'
      status: number
      headers?: Record<string, string>
      body: string | ((sent: Buffer) => string)
    }
  /** The server acts, the answer never comes and the connection stays open. */
  | { kind: 'hang' }
  /** Something else happens between the request and its arrival at the server. */
  | { kind: 'meanwhile'; act: () => Promise<unknown> }

export type FaultProxy = {
  url: string
  /** Requests since the last `arm` or `heal`. */
  readonly count: number
  /** From now on: the nth request (from 1) gets the fault; `every` gives it to all of them. */
  arm(nth: number | 'every', fault: Fault): void
  heal(): void
  close(): Promise<void>
}

/** An HTTP server on loopback that passes requests on as they are (signed Host included) but for armed faults. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const upstream = new URL(target)
  const agent = new Agent({ keepAlive: true })
  const held = new Set<ServerResponse>()
  let armed: { nth: number | 'every'; fault: Fault } | undefined
  let count = 0

  async function handle(incoming: IncomingMessage, reply: ServerResponse): Promise<void> {
    count += 1
    const fault = armed && (armed.nth === 'every' || armed.nth === count) ? armed.fault : undefined
    const body = await bytesOf(incoming)
    if (fault?.kind === 'lose-request') return void incoming.socket.destroy()
    if (fault?.kind === 'meanwhile') await fault.act()
    if (fault?.kind === 'answer') {
      reply.writeHead(fault.status, fault.headers)
      return void reply.end(typeof fault.body === 'string' ? fault.body : fault.body(body))
    }
    const path = incoming.url ?? '/'
    const passed = request({
      host: upstream.hostname,
      port: upstream.port,
      agent,
      method: incoming.method,
      path,
      headers: incoming.headers,
    })
    passed.end(body)
    const [answer] = (await once(passed, 'response')) as [IncomingMessage]
    const answered = await bytesOf(answer)
    if (fault?.kind === 'lose-reply') return void incoming.socket.destroy()
    if (fault?.kind === 'hang') return void held.add(reply)
    const headers = Object.entries(answer.headers).filter(([name]) => name !== 'transfer-encoding')
    reply.writeHead(answer.statusCode ?? 502, Object.fromEntries(headers))
    reply.end(answered)
  }

  const server = await startHttpServer((incoming, reply) => {
    handle(incoming, reply).catch(() => incoming.socket.destroy())
  })

  return {
    url: server.url,
    get count() {
      return count
    },
    arm(nth, fault) {
      count = 0
      armed = { nth, fault }
    },
    heal() {
      count = 0
      armed = undefined
      for (const reply of held) reply.socket?.destroy()
      held.clear()
    },
    async close() {
      agent.destroy()
      await server.close()
    },
  }
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}
