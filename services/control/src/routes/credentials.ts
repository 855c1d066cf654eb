import { Name, RekeyError } from '@rekey/contracts'
import type { Cause, Goal, Mode } from '@rekey/core'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Access } from '../access/authorize.ts'
import { DriftedStore } from './drift.ts'
import { OrderHeaders, orderKey } from './order.ts'
import { type Api, actorOf, answers, Order, SECURED, type Shared } from './route.ts'

const Credential = z.object({
  name: z.string(),
  workload: z.string(),
  purpose: z.string(),
  owner: z.string(),
  environment: z.string(),
  currentGeneration: z.number().int().nullable(),
  openRotation: z.string().nullable(),
  paused: z
    .object({ until: z.number(), by: z.string(), reason: z.string() })
    .nullable()
    .describe('Until when no routine rotation goes on, in milliseconds since the epoch'),
  dueAt: z
    .string()
    .nullable()
    .describe('From when on it rotates by itself, by its age; null: it does not, or a rotation is under way'),
  retiredAt: z.string().nullable().describe('When it was offboarded; null: it was not'),
  nodes: z.object({ live: z.number().int(), lost: z.number().int() }),
  drift: z
    .object({ id: z.number().int(), foundAt: z.string(), stores: z.array(DriftedStore) })
    .nullable()
    .describe('What its stores show that Rekey did not write; null: nothing, as far as anybody has looked'),
  generations: z.array(
    z.object({
      generation: z.number().int(),
      label: z.string().nullable(),
      validity: z.string(),
      keyId: z.string(),
      compromised: z.boolean().describe('It leaked'),
      storeVersions: z.record(z.string(), z.string()),
      knocks: z
        .number()
        .int()
        .describe('Requests with it since it died, as far as its nodes can notice them'),
    }),
  ),
})

const Started = z.object({
  rotation: z.string(),
  how: z
    .enum(['opened', 'joined', 'queued'])
    .describe(
      'joined: that rotation serves this order too, or is taken over by it; queued: it is under way, and exactly one more follows it',
    ),
})

/** Left out: the generation in use. Given: a repeat of the order can never mean a later one. */
const EmergencyOrder = Order.extend({
  generations: z
    .array(z.number().int().min(1))
    .min(1)
    .max(100)
    .optional()
    .describe('Which leaked; without it the one in use, which is refused where two are'),
})

type Given = Parameters<typeof orderKey>[0] &
  Pick<FastifyRequest, 'caller'> & { params: { name: string }; body: z.infer<typeof Order> }

type CredentialOrder = {
  verb: 'rotate' | 'retire' | 'expedite' | 'contain'
  mode: Mode
  goal: Goal
  summary: string
  description: string
}

const ORDERS: CredentialOrder[] = [
  {
    verb: 'rotate',
    mode: 'rotate',
    goal: 'replace',
    summary: 'Order a rotation, or join the one under way',
    description: '409 `not_allowed_now` where the credential was offboarded.',
  },
  {
    verb: 'retire',
    mode: 'rotate',
    goal: 'retire',
    summary: 'Offboard: end the value in use, with no successor',
    description:
      'The value is drained by evidence and proved dead as in a rotation. Until its revocation starts, a rollback calls it off.',
  },
]

const EMERGENCIES: CredentialOrder[] = [
  {
    verb: 'expedite',
    mode: 'expedite',
    goal: 'replace',
    summary: 'It leaked, keep serving: replace it without windows, and cut the drain at its bound',
    description:
      'Takes over the rotation under way, or opens one. 409 `not_allowed_now` where it is not clear, or not so, what leaked.',
  },
  {
    verb: 'contain',
    mode: 'contain',
    goal: 'replace',
    summary: 'It leaked, stop the bleeding: revoke it now, while its successor is made',
    description:
      'Waives what protects clients: requests with the leaked value fail until clients have the next one. The record names who gave this order.',
  },
]

const tags = ['credentials']

export function credentialRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/credentials',
    {
      config: { action: 'read' },
      schema: {
        summary: 'All credentials, with their generations',
        tags,
        security: SECURED,
        response: answers(z.array(Credential)),
      },
    },
    async () => ledger.listCredentials(),
  )
  api.get(
    '/credentials/:name',
    {
      config: { action: 'read', resource: 'credential' },
      schema: {
        summary: 'One credential',
        tags,
        security: SECURED,
        params: z.object({ name: Name }),
        response: answers(Credential),
      },
    },
    async ({ params }) => {
      const [credential] = await ledger.listCredentials(params.name)
      if (!credential) throw new RekeyError('not_found', `there is no credential named ${params.name}`)
      return credential
    },
  )
  for (const order of ORDERS)
    api.post(
      `/credentials/:name/${order.verb}`,
      { config: orderAccess(order), schema: { ...orderSchema(order), body: Order } },
      async (request) => give(order, request, []),
    )
  for (const order of EMERGENCIES)
    api.post(
      `/credentials/:name/${order.verb}`,
      { config: orderAccess(order), schema: { ...orderSchema(order), body: EmergencyOrder } },
      async (request) => give(order, request, [...new Set(request.body.generations)]),
    )

  api.post(
    '/credentials/:name/adopt',
    {
      config: { action: 'adopt', resource: 'credential' },
      schema: {
        ...orderSchema({
          summary: 'Take over the value that the stores hold already, as a generation of Rekey',
          description:
            'For a credential whose document says `firstValue: adopt`. No value is made, and readers get the same one throughout. 409 `not_allowed_now` where a rotation is open or a generation is in use.',
        }),
        body: Order,
      },
    },
    async (request) => {
      const { params, body, caller } = request
      const { reason, ticket } = body
      const order = { actor: actorOf(caller), reason, ...(ticket && { ticket }) }
      return ledger.order(orderKey(request), (orders) => orders.adopt(params.name, order))
    },
  )

  function give({ mode, goal }: CredentialOrder, request: Given, compromised: number[]) {
    const { params, body, caller } = request
    const { reason, ticket } = body
    const cause: Cause = { kind: 'order', actor: actorOf(caller), reason, ...(ticket && { ticket }) }
    const asked = { cause, mode, goal, compromised }
    return ledger.order(orderKey(request), (orders) => orders.start(params.name, asked))
  }
}

function orderAccess({ verb }: CredentialOrder): Access {
  return { action: verb, resource: 'credential' }
}

function orderSchema({ summary, description }: Pick<CredentialOrder, 'summary' | 'description'>) {
  return {
    summary,
    description,
    tags,
    security: SECURED,
    headers: OrderHeaders,
    params: z.object({ name: Name }),
    response: answers(Started),
  }
}
