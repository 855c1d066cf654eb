import { type ErrorCode, RekeyError } from '@rekey/contracts'
import type { ApprovalView } from '@rekey/ledger'
import type { Logger } from '@rekey/runtime'
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'

/** One thing wrong in a document: which one, and where in it. */
export const Fault = z.object({
  /** Index in the request's `documents`; null where it is not about one of them alone. */
  document: z.number().int().nullable(),
  kind: z.string().nullable(),
  name: z.string().nullable(),
  field: z.string(),
  message: z.string(),
})
export type Fault = z.infer<typeof Fault>

/** What policies refused, and which of them; none of them: no policy permits it. */
const Denied = z.object({
  principal: z.string(),
  action: z.string(),
  resource: z.string(),
  policies: z.array(z.string()),
})

/** Where a second person has to agree: with what, and until when. */
const Awaited = z.object({ id: z.string(), expiresAt: z.string() })

/** An error as RFC 9457 has it, with our catalogue's code and remedy. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  remedy: z.string(),
  faults: z.array(Fault).optional(),
  denied: Denied.optional(),
  approval: Awaited.optional(),
})
export type Problem = z.infer<typeof Problem>

/** What can be wrong with a request itself, before Rekey is asked anything. */
const REQUEST_PROBLEMS = {
  unauthenticated: {
    status: 401,
    remedy:
      'Send a bearer token that control accepts: one of its token issuer, or that of CONTROL_TOKEN_FILE.',
  },
  denied: {
    status: 403,
    remedy:
      'Ask somebody who may, or whoever looks after the policies of control; `rekey policy test` shows what they say.',
  },
  approval_needed: {
    status: 403,
    remedy:
      'Nothing was done. When somebody else has agreed (`rekey approve ID`), give the same order again.',
  },
  malformed_request: {
    status: 400,
    remedy: 'Correct the request; /openapi.json says what each route takes.',
  },
  unknown_route: { status: 404, remedy: 'See /openapi.json for the routes that there are.' },
  too_large: { status: 413, remedy: 'Send less at once, for instance fewer documents.' },
  unsupported_media_type: { status: 415, remedy: 'Send JSON, with content-type: application/json.' },
  internal: { status: 500, remedy: 'This is a fault in Rekey; the log of control has the details.' },
} as const

/** A catalogue code's place in HTTP. Retryable ones are 503: the same request may succeed later. */
const STATUS: Record<ErrorCode, number> = {
  backend_unavailable: 503,
  backend_timeout: 503,
  throttled: 503,
  quota_exhausted: 503,
  replica_behind: 503,
  bad_response: 503,
  sealed: 503,
  newer_release: 503,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  foreign_writer: 409,
  not_adoptable: 409,
  value_lost: 409,
  value_refused: 409,
  roles_differ: 409,
  function_failed: 409,
  not_allowed_now: 409,
  ledger_behind: 409,
  conflict: 409,
  invalid_configuration: 422,
  invalid_event: 422,
}

export class ControlProblem extends Error {
  readonly code: keyof typeof REQUEST_PROBLEMS
  constructor(code: keyof typeof REQUEST_PROBLEMS, message: string) {
    super(message)
    this.code = code
  }
}

/** The policies said no. */
export class DeniedRequest extends ControlProblem {
  readonly denied: z.infer<typeof Denied>
  constructor({ failed, ...denied }: z.infer<typeof Denied> & { failed: boolean }) {
    const { principal, action, resource, policies } = denied
    const why = failed
      ? 'its policies could not be evaluated, which is a no'
      : policies.length > 0
        ? `denied by ${policies.join(', ')}`
        : 'no policy permits it'
    super('denied', `${principal} may not ${action} ${resource}: ${why}`)
    this.denied = denied
  }
}

/** The policies say yes where a second person agrees. */
export class ApprovalNeeded extends ControlProblem {
  readonly approval: z.infer<typeof Awaited>
  constructor({ id, expiresAt, blastRadius, state }: ApprovalView) {
    const nodes = blastRadius === 1 ? '1 node' : `${blastRadius} nodes`
    super(
      'approval_needed',
      `it is about ${nodes}, and another person has to agree: ${id}, ${state}, until ${expiresAt}`,
    )
    this.approval = { id, expiresAt }
  }
}

/** Wrong documents, each fault with its place. */
export class FaultyDocuments extends RekeyError {
  readonly faults: Fault[]
  constructor(faults: Fault[]) {
    super('invalid_configuration', faults.map(sentence).join('; '))
    this.faults = faults
  }
}

function sentence({ kind, name, field, message }: Fault): string {
  const at = [kind, name].filter(Boolean).join(' ')
  return [at, field && (at ? `: ${field}` : field), `: ${message}`].join('').replace(/^: /, '')
}

export function answerWithProblems(app: FastifyInstance, logger: Logger): void {
  app.setNotFoundHandler((request, reply) =>
    send(
      reply,
      requestProblem('unknown_route', `there is no ${request.method} ${request.url.split('?')[0]}`),
    ),
  )
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error)
    if (problem.status >= 500)
      logger.error({ error, method: request.method, url: request.url }, 'request failed')
    return send(reply, problem)
  })
}

function send(reply: FastifyReply, problem: Problem) {
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer')
  return reply.code(problem.status).type('application/problem+json').send(problem)
}

/** Messages of unknown errors stay in the log: nobody knows what is in them. */
function toProblem(error: FastifyError): Problem {
  if (error instanceof DeniedRequest)
    return { ...requestProblem(error.code, error.message), denied: error.denied }
  if (error instanceof ApprovalNeeded)
    return { ...requestProblem(error.code, error.message), approval: error.approval }
  if (error instanceof ControlProblem) return requestProblem(error.code, error.message)
  if (RekeyError.is(error)) {
    const { code, message, remedy } = error
    const problem = build(code, STATUS[code], message, remedy)
    return error instanceof FaultyDocuments ? { ...problem, faults: error.faults } : problem
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const faults = error.validation.map(
      (v) => `${[error.validationContext, ...path(v.instancePath)].join('.')}: ${v.message}`,
    )
    return requestProblem('malformed_request', faults.join('; '))
  }
  if (error instanceof SyntaxError || error.code === 'FST_ERR_CTP_INVALID_JSON_BODY')
    return requestProblem('malformed_request', 'the body is not valid JSON')
  if (isLostConnection(error))
    return build('backend_unavailable', 503, 'PostgreSQL cannot be reached', 'Try again; see /readyz.')
  switch (error.statusCode) {
    case 400:
      return requestProblem('malformed_request', error.message)
    case 413:
      return requestProblem('too_large', 'the body is larger than 4 MiB')
    case 415:
      return requestProblem('unsupported_media_type', 'the body is not application/json')
    default:
      return requestProblem('internal', 'something went wrong that should not')
  }
}

function path(pointer: string): string[] {
  return pointer.split('/').filter((part) => part !== '')
}

/** ECONNREFUSED and its like, and what PostgreSQL says while it starts or stops. */
function isLostConnection(error: FastifyError): boolean {
  return (
    /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|57P|08)/.test(error.code ?? '') ||
    /^Connection terminated|timeout exceeded/.test(error.message)
  )
}

function requestProblem(code: keyof typeof REQUEST_PROBLEMS, detail: string): Problem {
  const { status, remedy } = REQUEST_PROBLEMS[code]
  return build(code, status, detail, remedy)
}

function build(code: string, status: number, detail: string, remedy: string): Problem {
  return { type: `urn:rekey:error:${code}`, title: code.replaceAll('_', ' '), status, code, detail, remedy }
}
