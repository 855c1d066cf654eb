import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { EnrolmentAnswer } from './enrolment.ts'
import type { Log } from './log.ts'

const BODY_MAX_BYTES = 16 * 1024
/** Enrolments at once: each costs several calls to Vault, and anybody can ask. */
const AT_ONCE_MAX = 32

/** The HTTPS endpoint for nodes that have no certificate yet: `POST /v1/enrol`. */
export function enrolmentServer(options: {
  tls: { key: string; cert: string }
  enrol: (payload: unknown) => Promise<EnrolmentAnswer>
  log: Log
}): Server {
  let running = 0
  const server = createServer(
    { ...options.tls, minVersion: 'TLSv1.3', handshakeTimeout: 10_000 },
    (request, response) => {
      const reply = (status: number, body: unknown) => {
        response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
        response.end(JSON.stringify(body))
      }
      if (request.method !== 'POST' || request.url !== '/v1/enrol') return reply(404, { error: 'not found' })
      if (running >= AT_ONCE_MAX) return reply(503, { error: 'busy' })
      running += 1
      bodyOf(request)
        .then(options.enrol)
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
