import { RekeyError } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import {
  type Action,
  nameOf,
  type Policies,
  type Question,
  type Resource,
  UNKNOWN_CREDENTIAL,
} from '@rekey/policy'
import type { FastifyRequest, RouteOptions } from 'fastify'
import { DeniedRequest } from '../problem.ts'
import type { Caller } from './caller.ts'
import type { Denials } from './denials.ts'

/** What a route says of itself. `resource`: what its `:name` or `:id` is; left out: all of Rekey. */
export type Access = {
  action: Action
  /** What it is instead where the body says `"apply": true`. */
  applies?: Action
  resource?: 'credential' | 'rotation' | 'node'
}

declare module 'fastify' {
  interface FastifyContextConfig extends Partial<Access> {}
  interface FastifyRequest {
    /** Who asks: set before any handler of `/v1` runs. */
    caller: Caller
    /** The policies that permitted it. */
    allowedBy?: string[]
  }
}

/** Refuses to add a route that does not say what it does: nobody could allow or forbid it. */
export function mustSayItsAction(route: RouteOptions): void {
  const action = route.config?.action
  if (action === undefined)
    throw new RekeyError(
      'invalid_configuration',
      `the route ${String(route.method)} ${route.url} declares no action: add config: { action: … }`,
    )
  // For the OpenAPI document, from which the reference page is made.
  const actions = [action, ...(route.config?.applies ? [route.config.applies] : [])]
  route.schema = Object.assign(route.schema ?? {}, { 'x-rekey-action': actions })
}

/** Asks the policies whether this request may go on; throws where it may not. */
export async function authorize(
  request: FastifyRequest,
  asked: { policies: Policies; ledger: Pick<Ledger, 'subjectOf'>; denials: Denials },
): Promise<string[]> {
  const { caller } = request
  const question: Question = {
    principal: caller,
    action: actionOf(request),
    resource: await resourceOf(request, asked.ledger),
  }
  const decision = asked.policies.authorize(question)
  if (decision.allowed) return decision.policies
  await asked.denials.note(caller, question, decision)
  throw new DeniedRequest({
    principal: nameOf(caller),
    action: question.action,
    resource: nameOf(question.resource),
    policies: decision.policies,
    failed: decision.errors.length > 0,
  })
}

function actionOf({ routeOptions, body }: FastifyRequest): Action {
  const { action, applies } = routeOptions.config
  // The hook at registration makes sure of it; if it ever did not, nothing is open.
  if (action === undefined) throw new RekeyError('permission_denied', 'this route declares no action')
  const isApplied = typeof body === 'object' && body !== null && 'apply' in body && body.apply === true
  return isApplied && applies ? applies : action
}

async function resourceOf(
  { routeOptions, params }: FastifyRequest,
  ledger: Pick<Ledger, 'subjectOf'>,
): Promise<Resource> {
  const { name = '', id = '' } = params as { name?: string; id?: string }
  switch (routeOptions.config.resource) {
    case undefined:
      return { type: 'System' }
    case 'node':
      return { type: 'Node', id: name }
    case 'credential':
      return credentialOf(await ledger.subjectOf({ credential: name }))
    case 'rotation':
      return credentialOf(await ledger.subjectOf({ rotation: id }))
    default:
      return routeOptions.config.resource satisfies never
  }
}

function credentialOf(subject: Awaited<ReturnType<Ledger['subjectOf']>>): Resource {
  if (!subject) return UNKNOWN_CREDENTIAL
  const { name, workload, environment, owner } = subject
  return { type: 'Credential', id: name, workload, environment, owner }
}
