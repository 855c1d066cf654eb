import type { BreakGlassUse } from '@rekey/ledger'
import type { FastifyRequest } from 'fastify'
import type { Api } from '../routes/route.ts'
import { actionOf } from './authorize.ts'
import type { Intended, Seal } from './break-glass.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The use of a break-glass token that it is. */
    use?: Intended & Pick<BreakGlassUse, 'use' | 'at'>
  }
}

/** To look is noted once, by the broken seal; a page that looks every second must not fill the journal. */
const VIEWS: readonly string[] = ['read', 'test', 'diff', 'scan']

/**
 * Traces what is done with break-glass tokens: before the policies are asked and the handler runs, and after the answer.
 * Add it before the hook that asks the policies.
 */
export function traceUses(api: Pick<Api, 'addHook'>, seal: Seal): void {
  api.addHook('preHandler', async (request) => {
    const { token, id: person } = request.caller
    if (token === undefined) return
    const intended = intendedBy(request, token, person)
    if (!VIEWS.includes(intended.action)) request.use = { ...intended, ...(await seal.intend(intended)) }
    await seal.open(intended)
  })
  api.addHook('onResponse', async (request, reply) => {
    if (request.use) await seal.answered({ ...request.use, status: reply.statusCode })
  })
}

function intendedBy(request: FastifyRequest, token: string, person: string): Intended {
  const { name, id } = request.params as { name?: string; id?: string }
  const { reason, ticket } = (request.body ?? {}) as { reason?: string; ticket?: string }
  return {
    token,
    person,
    action: actionOf(request),
    resource: { type: request.routeOptions.config.resource ?? 'system', id: name ?? id ?? 'rekey' },
    reason: reason ?? null,
    ticket: ticket ?? null,
    address: request.ip,
  }
}
