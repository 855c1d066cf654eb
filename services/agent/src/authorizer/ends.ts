import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'

/** The kernel gives less where it must; a datagram that is lost makes its request count for too long, never too short. */
const BUFFER_BYTES = 4 * 1024 * 1024

/** NGINX's `$request_id`, at the end of a line of its log. */
export function requestIn(datagram: string): string | undefined {
  return /(?:^|\s)([0-9a-f]{32})\s*$/.exec(datagram)?.[1]
}

/** Hears by syslog (RFC 3164, over UDP) that requests have ended. */
export async function hearEnds(
  { address, port }: { address: string; port: number },
  ended: (request: string) => void,
): Promise<Socket> {
  const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', recvBufferSize: BUFFER_BYTES })
  socket.on('message', (message) => {
    const request = requestIn(message.toString('latin1'))
    if (request !== undefined) ended(request)
  })
  socket.bind({ address, port, exclusive: true })
  await once(socket, 'listening')
  return socket
}
