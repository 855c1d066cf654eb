import { isSamePerson, RekeyError } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import {
  type Action,
  type Consent,
  type Decision,
  isOrder,
  nameOf,
  type Policies,
  type Question,
  type Resource,
  UNKNOWN_CREDENTIAL,
} from '@rekey/policy'
import type { FastifyRequest, RouteOptions } from 'fastify'
import { ApprovalNeeded, DeniedRequest } from '../problem.ts'
import { orderKey } from '../routes/order.ts'
import { actorOf } from '../routes/route.ts'
import type { Caller } from './caller.ts'
import type { Denials } from './denials.ts'

/** What a route says of itself. `resource`: what its `:name` or `:id` is; left out: all of Rekey. */
export type Access = {
  action: Action
  /** What it is instead where the body says `"apply": true`. */
  applies?: Action
  resource?: 'credential' | 'rotation' | 'node' | 'approval'
}

declare module 'fastify' {
  interface FastifyContextConfig extends Partial<Access> {}
  interface FastifyRequest {
    /** Who asks: set before any handler of `/v1` runs. */
    caller: Caller
    /** The policies that permitted it. */
    allowedBy?: string[]
    /** The approval that the order is carried out under. */
    approval?: string
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

type Asked = {
  policies: Policies
  ledger: Pick<
    Ledger,
    'subjectOf' | 'blastRadius' | 'forgetReach' | 'approvalFor' | 'askApproval' | 'findApproval'
  >
  denials: Denials
}

/** Asks the policies whether this request may go on; throws where it may not, or not without a second person. */
export async function authorize(request: FastifyRequest, asked: Asked): Promise<string[]> {
  const { caller } = request
  const action = actionOf(request)
  const about = await aboutOf(request, asked.ledger)
  const question: Question = { principal: caller, action, ...about }
  const decision = isOrder(action)
    ? await weigh(request, { ...question, resource: about.resource }, asked)
    : asked.policies.authorize(question)
  if (decision.allowed) return decision.policies
  await asked.denials.note(caller, question, decision)
  throw new DeniedRequest({
    principal: nameOf(caller),
    action,
    resource: nameOf(question.resource),
    policies: decision.policies,
    failed: decision.errors.length > 0,
  })
}

/** An order is asked for by how much it is about; if it is too much for one person, whether another one agreed. */
async function weigh(
  request: FastifyRequest,
  question: Question,
  { policies, ledger }: Asked,
): Promise<Decision> {
  const { caller, use } = request
  const { action, resource } = question
  const under = caller.token && use ? { token: caller.token, use: use.use } : undefined
  const blastRadius = await ledger.blastRadius(resource, under)
  const asked = (approved: boolean) => policies.authorize({ ...question, context: { approved, blastRadius } })
  const alone = asked(false)
  if (alone.allowed) return alone
  const together = asked(true)
  if (together.allowed) {
    const requester = actorOf(caller)
    const { key, digest } = orderKey(request)
    const approval = await ledger.approvalFor({ requester, digest, key })
    if (approval !== undefined) {
      request.approval = approval
      return together
    }
    const { reason, ticket } = request.body as { reason: string; ticket?: string }
    if (under) await ledger.forgetReach(under.use)
    const order = { requester, action, resource, blastRadius, digest, reason }
    throw new ApprovalNeeded(await ledger.askApproval({ ...order, ...(ticket && { ticket }) }))
  }
  if (under) await ledger.forgetReach(under.use)
  return alone
}

export function actionOf({ routeOptions, body }: FastifyRequest): Action {
  const { action, applies } = routeOptions.config
  // The hook at registration makes sure of it; if it ever did not, nothing is open.
  if (action === undefined) throw new RekeyError('permission_denied', 'this route declares no action')
  const isApplied = typeof body === 'object' && body !== null && 'apply' in body && body.apply === true
  return isApplied && applies ? applies : action
}

/** Only who may approve everything is told that there is nothing. */
const NOBODYS: Consent = { requester: '', approver: '', samePerson: false }

/** What a request is about, and whose order where it is to be approved. */
async function aboutOf(
  request: FastifyRequest,
  ledger: Pick<Ledger, 'subjectOf' | 'findApproval'>,
): Promise<Pick<Question, 'resource' | 'context'>> {
  const { name = '', id = '' } = request.params as { name?: string; id?: string }
  const kind = request.routeOptions.config.resource
  switch (kind) {
    case undefined:
      return { resource: { type: 'System' } }
    case 'node':
      return { resource: { type: 'Node', id: name } }
    case 'credential':
      return { resource: credentialOf(await ledger.subjectOf({ credential: name })) }
    case 'rotation':
      return { resource: credentialOf(await ledger.subjectOf({ rotation: id })) }
    case 'approval': {
      const approval = await ledger.findApproval(id)
      if (!approval) return { resource: UNKNOWN_CREDENTIAL, context: NOBODYS }
      const approver = actorOf(request.caller)
      const { requester, resource } = approval
      return { resource, context: { requester, approver, samePerson: isSamePerson(requester, approver) } }
    }
    default:
      return kind satisfies never
  }
}

function credentialOf(subject: Awaited<ReturnType<Ledger['subjectOf']>>): Resource {
  if (!subject) return UNKNOWN_CREDENTIAL
  const { name, workload, environment, owner } = subject
  return { type: 'Credential', id: name, workload, environment, owner }
}
