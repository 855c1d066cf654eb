import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'

/** The kernel gives less where it must; a datagram that is lost makes its request count for too long, never too short. */
const BUFFER_BYTES = 4 * 1024 * 1024

export type End = { request: string; keyId: string | undefined; status: number | undefined }

/** NGINX's `$request_id`, at the end of a line of its log, before it the key's id, or nothing, and before that the status, if it says it. */
export function endIn(datagram: string): End | undefined {
  const [, status, keyId, request] =
    /(?:^|\s)(?:([1-5]\d\d) )?([A-Za-z0-9._-]*) ([0-9a-f]{32})\s*$/.exec(datagram) ?? []
  if (request === undefined) return undefined
  return { request, keyId: keyId || undefined, status: status === undefined ? undefined : Number(status) }
}

/** Hears by syslog (RFC 3164, over UDP) that requests have ended. */
export async function hearEnds(
  { address, port }: { address: string; port: number },
  ended: (end: End) => void,
): Promise<Socket> {
  const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', recvBufferSize: BUFFER_BYTES })
  socket.on('message', (message) => {
    const end = endIn(message.toString('latin1'))
    if (end) ended(end)
  })
  socket.bind({ address, port, exclusive: true })
  await once(socket, 'listening')
  // An end that is not heard counts for too long, and no more.
  socket.on('error', () => undefined)
  return socket
}
