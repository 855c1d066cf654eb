import type { Logger } from '@rekey/runtime'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import type { OpenSource } from './config.ts'
import { eventOf } from './event.ts'
import { answerWithProblems, Refusal, toRefusal } from './problem.ts'
import { isBearer, isSigned, looksSigned } from './proof.ts'
import type { Publish } from './publisher.ts'
import { Rate } from './rate.ts'
import { Refusals } from './refusals.ts'
import type { Reports } from './reports.ts'

/** GitHub sends up to 25 MB, of events that nobody here asks for; those that are asked for have some ten kilobytes. */
export const BODY_BYTES_MAX = 1024 * 1024
const CONNECTIONS_MAX = 256
/** GitHub itself waits for ten seconds. */
const REQUEST_MS = 10_000
const FULL_AGAIN_SECONDS = 60

export type WebhooksOptions = {
  sources: readonly OpenSource[]
  publish: Publish
  reports: Pick<Reports, 'take'>
  logger: Logger
  /** Changes of one source. Leaks are never refused for their number, as long as the spool has room. */
  changesPerMinute: number
  tls?: { cert: string; key: string }
}

export function buildWebhooks(options: WebhooksOptions): FastifyInstance {
  const { logger } = options
  const settings: FastifyServerOptions = {
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS,
    connectionTimeout: REQUEST_MS,
    keepAliveTimeout: 5_000,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
  }
  const app = options.tls
    ? Fastify({ ...settings, https: { ...options.tls, minVersion: 'TLSv1.2' } } as FastifyServerOptions)
    : Fastify(settings)
  app.server.maxConnections = CONNECTIONS_MAX
  answerWithProblems(app, logger, BODY_BYTES_MAX)
  // A signature is over the bytes as they came.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )
  const refusals = new Refusals(logger)
  app.addHook('onError', async (request, _reply, error) => {
    const { code } = toRefusal(error, BODY_BYTES_MAX)
    refusals.note(request.routeOptions.url ?? 'elsewhere', code, request.ip, performance.now())
  })
  for (const source of options.sources) addSource(app, source, options)
  return app
}

function addSource(app: FastifyInstance, source: OpenSource, options: WebhooksOptions): void {
  const { publish, reports, logger } = options
  const rate = new Rate(options.changesPerMinute, performance.now())
  app.post(
    `/${source.name}`,
    {
      // What cannot be genuine costs no body.
      onRequest: async (request) => {
        const { proof } = source
        const mayBe =
          proof.by === 'bearer'
            ? isBearer(headerOf(request, 'authorization'), source.secrets())
            : looksSigned(headerOf(request, proof.header))
        if (!mayBe) throw unauthenticated()
      },
    },
    async (request, reply) => {
      const { proof } = source
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      if (proof.by === 'hmac' && !isSigned(body, headerOf(request, proof.header), source.secrets()))
        throw unauthenticated()
      const heard = source.hear({
        header: (name) => headerOf(request, name),
        body: parse(body),
        receivedAt: new Date(),
      })
      if (heard.kind === 'ignored') {
        logger.info({ source: source.name, why: heard.why }, 'delivery ignored')
        return { ignored: heard.why }
      }
      const { emitter } = source
      // Also for leaks: what no event can say must not come into the spool.
      const event = eventOf(heard.kind === 'leak' ? heard.leak : heard.change, heard.origin)
      if (heard.kind === 'leak') {
        const { kind: _, ...report } = heard
        if (!(await reports.take({ emitter, ...report })))
          throw new Refusal(
            'backend_unavailable',
            'the spool is full: Kafka has been away for long',
            FULL_AGAIN_SECONDS,
          )
      } else {
        const seconds = rate.take(performance.now())
        if (seconds > 0) throw new Refusal('throttled', 'too many changes in a minute', seconds)
        await publish(emitter, event)
      }
      const { source: from, type } = event
      // A leak gets its id when it is known whether its value can be fetched.
      const taken = { source: from, type, ...(heard.kind === 'change' && { id: event.id }) }
      logger.info(taken, 'delivery taken')
      return reply.code(202).send({ taken })
    },
  )
}

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

function unauthenticated(): Refusal {
  return new Refusal('unauthenticated', 'no valid signature or token came with it')
}

/** The parser's own message quotes some of the text. */
function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new Refusal('malformed_request', 'the body is not valid JSON')
  }
}
