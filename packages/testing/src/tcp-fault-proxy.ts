import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What the proxy does to one request: what a client sends at once, up to the server's next answer. */
export type TcpFault =
  /** The server acts and answers, but the answer never arrives: the connection is cut. */
  | { kind: 'lose-reply' }
  /** The request never reaches the server, and the connection is cut. */
  | { kind: 'lose-request' }
  /** Answered by the proxy in place of the server, which then hangs up. */
  | { kind: 'answer'; bytes: Buffer }
  /** The server acts, no answer comes any more and the connection stays open. */
  | { kind: 'hang' }
  /** Something else happens between the request and its arrival at the server. */
  | { kind: 'meanwhile'; act: () => Promise<unknown> }

export type TcpFaultProxy = {
  port: number
  /** Requests since the last `arm` or `heal`, on all connections. */
  readonly count: number
  /** From now on: the nth request (from 1) gets the fault; `every` gives it to all of them. */
  arm(nth: number | 'every', fault: TcpFault): void
  heal(): void
  close(): Promise<void>
}

/** A way on loopback to a server that speaks anything but HTTP, with its faults. `onSent` hears what clients send. */
export async function startTcpFaultProxy(
  target: { host: string; port: number },
  onSent: (bytes: Buffer) => void = () => {},
): Promise<TcpFaultProxy> {
  const open = new Set<Socket>()
  let armed: { nth: number | 'every'; fault: TcpFault } | undefined
  let count = 0

  const server = createServer((client) => {
    const upstream = connect(target.port, target.host)
    let isMute = false
    let losesReply = false
    const cut = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.setNoDelay(true)
      socket.on('error', cut)
      socket.on('close', () => {
        open.delete(socket)
        // A way that hangs does not let the client know that the server has gone.
        if (!isMute) cut()
      })
    }
    upstream.on('data', (bytes) => {
      if (losesReply) return cut()
      if (!isMute) client.write(bytes)
    })

    async function pass(bytes: Buffer): Promise<void> {
      count += 1
      onSent(bytes)
      const fault = armed && (armed.nth === 'every' || armed.nth === count) ? armed.fault : undefined
      if (fault?.kind === 'lose-request') return cut()
      if (fault?.kind === 'answer') {
        client.end(fault.bytes)
        return
      }
      if (fault?.kind === 'meanwhile') await fault.act()
      if (fault?.kind === 'hang') isMute = true
      if (fault?.kind === 'lose-reply') losesReply = true
      upstream.write(bytes)
    }

    client.on('data', (bytes: Buffer) => {
      client.pause()
      pass(bytes).then(() => client.resume(), cut)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    port,
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
      for (const socket of open) socket.destroy()
    },
    async close() {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
