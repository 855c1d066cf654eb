import { request } from 'node:http'

const ANSWER_MS = 2_000
const ANSWER_MAX_BYTES = 4 * 1024 * 1024

/** A process on this host: by its socket, or by http on loopback. */
export type LocalServer = { socketPath: string } | { host: string; port: number }

/** One request, on a connection of its own. Errors say who failed and how, never what was sent or answered. */
export function localRequest(
  who: string,
  server: LocalServer,
  method: 'GET' | 'PUT',
  path: string,
  body?: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const [what] = path.split('?')
    const fail = (why: string) => reject(new Error(`${who}, ${method} ${what}: ${why}`))
    const signal = AbortSignal.timeout(ANSWER_MS)
    const outgoing = request({ ...server, method, path, signal, agent: false }, (incoming) => {
      const chunks: Buffer[] = []
      let bytes = 0
      incoming.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > ANSWER_MAX_BYTES) outgoing.destroy(new Error('the answer is too large'))
        else chunks.push(chunk)
      })
      incoming.on('error', () => fail('the answer broke off'))
      incoming.on('end', () => {
        if ((incoming.statusCode ?? 500) < 300) resolve(Buffer.concat(chunks).toString('utf8'))
        else fail(`answered ${incoming.statusCode}`)
      })
    })
    outgoing.on('error', (error: NodeJS.ErrnoException) =>
      fail(signal.aborted ? `no answer within ${ANSWER_MS} ms` : (error.code ?? error.message)),
    )
    outgoing.end(body)
  })
}
