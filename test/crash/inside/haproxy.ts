import net from 'node:net'
import { after, before } from './points.ts'

/** Points are the commands to a gateway's runtime socket, by their verb: their arguments are hashes of keys. */
export function hookHaproxy(): void {
  const { connect } = net
  net.connect = ((...args: unknown[]) => {
    const socket = Reflect.apply(connect, net, args) as net.Socket
    if (typeof args[0] !== 'string') return socket
    const write = socket.write.bind(socket)
    socket.write = ((...sent: [string]) => {
      const act = before(() => [`haproxy ${sent[0].split(' ', 2).join(' ').trim()}`])
      // HAProxy answers a command and closes.
      socket.prependOnceListener('end', () => after(act))
      return write(...sent)
    }) as typeof socket.write
    return socket
  }) as typeof connect
}
