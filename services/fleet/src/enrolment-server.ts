import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { TLS_MIN, type TlsMaterial } from './channel.ts'
import type { EnrolmentAnswer } from './enrolment.ts'
import type { Log } from './log.ts'
import { type ShownCertificate, shownCertificate } from './svid.ts'

const BODY_MAX_BYTES = 16 * 1024
/** Enrolments at once: each costs several calls to Vault, and anybody can ask. */
const AT_ONCE_MAX = 32

export type EnrolmentTls = Pick<TlsMaterial, 'key' | 'cert'> & {
  /** Who may sign certificates that nodes enrol with. Without it none is asked for. */
  svidBundle?: string | undefined
}

/** For `setSecureContext` too, which forgets what it is not told again. */
export const enrolmentContext = ({ key, cert, svidBundle }: EnrolmentTls) => ({
  key,
  cert,
  minVersion: TLS_MIN,
  ...(svidBundle !== undefined && { ca: svidBundle }),
})

/** The HTTPS endpoint for nodes that have no certificate of ours yet: `POST /v1/enrol`. */
export function enrolmentServer(options: {
  tls: EnrolmentTls
  enrol: (payload: unknown, shown: ShownCertificate | undefined) => Promise<EnrolmentAnswer>
  log: Log
}): Server {
  const asksForSvid = options.tls.svidBundle !== undefined
  let running = 0
  const server = createServer(
    {
      ...enrolmentContext(options.tls),
      handshakeTimeout: 10_000,
      // Asked for and not required: others come with a join token.
      requestCert: asksForSvid,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const reply = (status: number, body: unknown) => {
        response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
        response.end(JSON.stringify(body))
      }
      if (request.method !== 'POST' || request.url !== '/v1/enrol') return reply(404, { error: 'not found' })
      if (running >= AT_ONCE_MAX) return reply(503, { error: 'busy' })
      running += 1
      const shown = asksForSvid ? shownCertificate(request.socket as TLSSocket) : undefined
      bodyOf(request)
        .then((payload) => options.enrol(payload, shown))
        .then((answer) => reply(answer.status, answer.status === 200 ? answer.body : { error: answer.error }))
        .catch((error: unknown) => {
          if (error instanceof BodyError) return reply(400, { error: error.message })
          options.log.error({ error }, 'an enrolment failed unexpectedly')
          reply(503, { error: 'unexpected failure' })
        })
        .finally(() => {
          running -= 1
        })
    },
  )
  server.headersTimeout = 10_000
  server.requestTimeout = 10_000
  return server
}

class BodyError extends Error {}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > BODY_MAX_BYTES) throw new BodyError('the request is too large')
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    throw error instanceof BodyError ? error : new BodyError('the request is not JSON')
  }
}
