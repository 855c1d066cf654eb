import { connect } from 'node:net'

/** The socket could not be used, or HAProxy refused the command. Says which command, never its arguments. */
export class StatsSocketError extends Error {}

const ANSWER_MAX_BYTES = 4 * 1024 * 1024

/** One command per connection: HAProxy answers it and closes. */
export function ask(socketPath: string, command: string, timeoutMs = 2_000): Promise<string> {
  const verb = command.split(' ', 2).join(' ')
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const socket = connect(socketPath)
    const fail = (why: string) => {
      socket.destroy()
      reject(new StatsSocketError(`HAProxy stats socket, "${verb}": ${why}`))
    }
    // A deadline for the whole exchange: an idle time-out would never end a dripping answer.
    const deadline = setTimeout(() => fail(`no complete answer within ${timeoutMs} ms`), timeoutMs)
    socket.on('connect', () => socket.write(`${command}\n`))
    socket.on('data', (chunk) => {
      bytes += chunk.length
      if (bytes > ANSWER_MAX_BYTES) fail('the answer is too large')
      else chunks.push(chunk)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'connection failed'))
    socket.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    socket.on('close', () => {
      clearTimeout(deadline)
      reject(new StatsSocketError(`HAProxy stats socket, "${verb}": closed without an answer`))
    })
  })
}

/** For commands that say nothing when they succeed. */
export async function tell(socketPath: string, command: string): Promise<void> {
  const answer = (await ask(socketPath, command)).trim()
  if (answer !== '') {
    const verb = command.split(' ', 2).join(' ')
    throw new StatsSocketError(`HAProxy refused "${verb}": ${answer.split('\n', 1)[0]?.slice(0, 120)}`)
  }
}
