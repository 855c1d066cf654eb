import { createServer, type Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Counters } from './counters.ts'
import { Doorway } from './doorway.ts'
import type { Log } from './log.ts'
import { nodeOf } from './peer.ts'

export type TlsMaterial = { key: string; cert: string; ca: string }

export const TLS_MIN = 'TLSv1.3' as const

/** An agent has nothing to say that is longer. */
export const FRAME_MAX_BYTES = 64 * 1024

/** The mTLS endpoint of the agents. Without a client certificate of our authority there is not even a handshake. */
export function channelServer(options: {
  tls: TlsMaterial
  counters: Counters
  log: Log
  /** `entered`: to be called when the node's session is open, so that the next one may come in. */
  onNode: (node: string, socket: WebSocket, entered: () => void) => void
}): { server: Server; doorway: Doorway; sockets: WebSocketServer } {
  const { counters, log } = options
  const server = createServer(
    {
      ...options.tls,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: TLS_MIN,
      handshakeTimeout: 10_000,
    },
    (_request, response) => response.writeHead(426).end(),
  )
  const doorway = new Doorway(server, { onTurnedAway: () => counters.add('turned_away') })
  server.headersTimeout = 10_000
  server.requestTimeout = 10_000
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: FRAME_MAX_BYTES,
  })
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {})
    const node = nodeOf((request.socket as TLSSocket).getPeerCertificate())
    if (node === undefined) {
      counters.add('wrong_peer')
      log.warn({ from: request.socket.remoteAddress }, 'a certificate that names no node was refused')
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n')
      return
    }
    doorway.known(request.socket, node)
    sockets.handleUpgrade(request, socket, head, (accepted) =>
      options.onNode(node, accepted, () => doorway.opened(request.socket)),
    )
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException) => {
    counters.add('wrong_peer')
    log.debug({ code: error.code }, 'a TLS handshake failed')
  })
  return { server, doorway, sockets }
}
