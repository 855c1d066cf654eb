import { RekeyError } from '@rekey/contracts'
import type { Logger } from '@rekey/runtime'
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'

/** Why a delivery was not taken, as the sender is told in RFC 9457's form. None repeats anything of the delivery. */
const PROBLEMS = {
  unauthenticated: {
    status: 401,
    remedy: 'Sign with one of the secrets that are configured for this source.',
  },
  malformed_request: { status: 400, remedy: 'Send the delivery as its documentation says.' },
  unknown_route: { status: 404, remedy: 'Post to the path of a source that is configured.' },
  too_large: { status: 413, remedy: 'Subscribe only to the events that the guide names: they are small.' },
  unsupported_media_type: { status: 415, remedy: 'Send JSON, with content-type: application/json.' },
  invalid_event: {
    status: 422,
    remedy: 'Correct the field; for Argo CD compare the template with the example.',
  },
  throttled: { status: 429, remedy: 'Wait as long as retry-after says, and deliver it again.' },
  backend_unavailable: { status: 503, remedy: 'Nothing was taken: deliver it again later.' },
  internal: { status: 500, remedy: 'This is a fault in Rekey; the log of webhooks has the details.' },
} as const
type Code = keyof typeof PROBLEMS

export class Refusal extends Error {
  readonly code: Code
  readonly retryAfterSeconds: number | undefined
  constructor(code: Code, message: string, retryAfterSeconds?: number) {
    super(message)
    this.code = code
    this.retryAfterSeconds = retryAfterSeconds
  }
}

export function answerWithProblems(app: FastifyInstance, logger: Logger, bodyBytesMax: number): void {
  app.setNotFoundHandler((_request, reply) =>
    send(reply, new Refusal('unknown_route', 'no source that is configured posts here')),
  )
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const refusal = toRefusal(error, bodyBytesMax)
    if (refusal.code === 'internal' || refusal.code === 'backend_unavailable')
      logger.error({ error, path: request.routeOptions.url }, 'a delivery was not taken')
    return send(reply, refusal)
  })
}

function send(reply: FastifyReply, { code, message, retryAfterSeconds }: Refusal) {
  const { status, remedy } = PROBLEMS[code]
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  const body = {
    type: `urn:rekey:error:${code}`,
    title: code.replaceAll('_', ' '),
    status,
    code,
    detail: message,
    remedy,
  }
  return reply.code(status).type('application/problem+json').send(body)
}

/** Messages of unknown errors stay in the log: nobody knows what is in them. */
export function toRefusal(error: unknown, bodyBytesMax: number): Refusal {
  if (error instanceof Refusal) return error
  if (RekeyError.is(error)) {
    if (error.code === 'invalid_event') return new Refusal('invalid_event', error.message)
    if (error.retryable) return new Refusal('backend_unavailable', 'it can be neither sent nor kept now', 30)
  }
  switch ((error as FastifyError).statusCode) {
    case 400:
      return new Refusal('malformed_request', 'the request is not as HTTP has it')
    case 408:
      return new Refusal('malformed_request', 'the request took too long')
    case 413:
      return new Refusal('too_large', `the body is larger than ${bodyBytesMax} bytes`)
    case 415:
      return new Refusal('unsupported_media_type', 'the body is not application/json')
    default:
      return new Refusal('internal', 'something went wrong that should not')
  }
}
