import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Place } from './login.ts'
import { decoded, encoded, RedisError, type Reply } from './resp.ts'

/** Several commands as one message; their replies, of which the first refusal is thrown. */
export type Ask = (...commands: string[][]) => Promise<Reply[]>

/** As permissions name it: of no command more than two words, which are ours. */
const nameOf = ([name = '', sub = '']: string[]) =>
  ['ACL', 'CLIENT'].includes(name) ? `${name} ${sub}`.toLowerCase() : name.toLowerCase()

/**
 * One connection for one piece of work. No retries and no queue: what was lost is settled by the caller, who knows what it was. Only
 * `signal` bounds it.
 */
export async function withRedis<T>(
  { host, port, tls }: Place,
  as: { username: string; password: string; name: string } | undefined,
  signal: AbortSignal,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const socket: Socket = tls ? connectTls({ host, port, servername: host }) : connectPlain({ host, port })
  socket.setNoDelay(true)
  let bytes: Buffer = Buffer.alloc(0)
  let wake = Promise.withResolvers<void>()
  let ended: Error | undefined
  const end = (error: Error) => {
    ended ??= error
    wake.resolve()
  }
  socket.on('error', end)
  socket.on('close', () => end(Object.assign(new Error('closed'), { code: 'ECONNRESET' })))
  socket.on('data', (more: Buffer) => {
    bytes = Buffer.concat([bytes, more])
    wake.resolve()
  })
  const cut = () => socket.destroy()
  signal.addEventListener('abort', cut, { once: true })

  async function next(): Promise<Reply> {
    for (;;) {
      const found = decoded(bytes)
      if (found) {
        bytes = bytes.subarray(found.next)
        return found.reply
      }
      if (ended) throw ended
      wake = Promise.withResolvers()
      await wake.promise
    }
  }
  const ask: Ask = async (...commands) => {
    if (commands.length === 0) return []
    socket.write(commands.map(encoded).join(''))
    const replies: Reply[] = []
    for (const command of commands) {
      const reply = await next()
      if (reply instanceof RedisError) reply.command = nameOf(command)
      // A server that is full says so once, and hangs up.
      if (reply instanceof RedisError && reply.meaning === 'full') throw reply
      replies.push(reply)
    }
    const refusal = replies.find((reply) => reply instanceof RedisError)
    if (refusal) throw refusal
    return replies
  }
  try {
    if (as) await ask(['HELLO', '2', 'AUTH', as.username, as.password, 'SETNAME', as.name])
    return await work(ask)
  } finally {
    signal.removeEventListener('abort', cut)
    socket.destroy()
  }
}
