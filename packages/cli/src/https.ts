import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { ClientTls } from './tls-files.ts'

export type Sent = {
  method?: string
  headers: Record<string, string>
  body?: string
  signal?: AbortSignal
}

/** As `fetch`, which takes no certificate and no authority. Follows no redirection. */
export function fetchOverTls(url: URL, sent: Sent, { ca, identity }: ClientTls): Promise<Response> {
  const { body, signal, ...rest } = sent
  return new Promise((resolve, reject) => {
    const asked = request(
      url,
      {
        ...rest,
        // A connection each: the files may be new since the last one.
        agent: false,
        ...(signal && { signal }),
        ...(ca !== undefined && { ca }),
        ...(identity && { cert: identity.cert, key: identity.key.reveal() }),
      },
      (answer) => resolve(responseOf(answer)),
    )
    asked.on('error', (error) => reject(signal?.aborted ? signal.reason : error))
    asked.end(body)
  })
}

/** Answers that have no body, and must be made without one. */
const EMPTY = [204, 205, 304]

function responseOf(answer: IncomingMessage): Response {
  const { statusCode: status = 0 } = answer
  if (!EMPTY.includes(status))
    return new Response(Readable.toWeb(answer) as ReadableStream<Uint8Array>, { status })
  answer.resume()
  return new Response(null, { status })
}
