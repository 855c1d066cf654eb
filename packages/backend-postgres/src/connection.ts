import { Socket } from 'node:net'
import pg from 'pg'
import type { Place } from './place.ts'

/** How long a goodbye may take before the connection is cut. */
const GOODBYE_MS = 1_000

/**
 * One connection for one piece of work: rotations are rare, and a connection that nobody keeps can neither go stale nor
 * hold anything. Only `signal` bounds it; at its end the socket is cut, whatever the server is doing.
 */
export async function withConnection<T>(
  place: Place,
  as: { user: string; password: string; name: string },
  signal: AbortSignal,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const socket = new Socket()
  const client = new pg.Client({
    host: place.host,
    port: place.port,
    database: place.database,
    user: as.user,
    // Never absent: pg would look for one in the environment and in a file.
    password: as.password,
    application_name: as.name,
    ssl: place.sslmode === 'disable' ? false : { rejectUnauthorized: true },
    stream: () => socket,
  })
  client.on('error', () => {})
  const cut = () => socket.destroy()
  signal.addEventListener('abort', cut, { once: true })
  try {
    await client.connect()
    const result = await work(client)
    await goodbye(client, socket)
    return result
  } finally {
    signal.removeEventListener('abort', cut)
    socket.destroy()
  }
}

/** Until the server has closed it too: nobody shall count our own session among those of a role. */
async function goodbye(client: pg.Client, socket: Socket): Promise<void> {
  const timer = setTimeout(() => socket.destroy(), GOODBYE_MS)
  await client.end().finally(() => clearTimeout(timer))
}
