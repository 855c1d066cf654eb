import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

export type TestServer = { url: string; close(): Promise<void> }

/** A server on a free port of loopback, for a test. */
export async function startHttpServer(handle: RequestListener): Promise<TestServer> {
  const server = createServer(handle)
  // A connection that it closes after a while of idleness may be the one that the next request goes by.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Answers 200 and then sends one space after the other, without end. */
export function drip(contentType: string): RequestListener {
  return (_, reply) => {
    reply.writeHead(200, { 'content-type': contentType })
    const timer = setInterval(() => reply.write(' '), 20)
    reply.on('close', () => clearInterval(timer))
  }
}
