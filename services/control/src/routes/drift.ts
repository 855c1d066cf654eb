import { Name } from '@rekey/contracts'
import { z } from 'zod'
import { OrderHeaders, orderKey } from './order.ts'
import { ActorHeader, type Api, actorOf, answers, Order, SECURED, type Shared } from './route.ts'

export const DriftedStore = z.object({
  store: z.string(),
  kind: z
    .enum(['foreign', 'other-generation', 'rewritten', 'missing'])
    .describe(
      'foreign: a value that Rekey did not write; other-generation: an older one was put back; rewritten: the right value by another hand; missing: readers get nothing',
    ),
  governed: z.string().describe('The version that Rekey wrote last'),
  seen: z.string().nullable().describe('The version that is there instead; null: none is'),
  shows: z
    .number()
    .int()
    .nullable()
    .describe('Of which generation of the credential it is, by its fingerprint; null: of none'),
})

const Drift = z.object({
  id: z.number().int(),
  credential: z.string(),
  owner: z.string(),
  environment: z.string(),
  generation: z.number().int().describe('The one in use, which readers should get'),
  foundAt: z.string(),
  stores: z.array(DriftedStore),
  order: z
    .object({
      by: z.string(),
      reason: z.string(),
      ticket: z.string().nullable(),
      at: z.string(),
      rotation: z.string(),
    })
    .nullable()
    .describe('Who wants it settled, and by which rotation; null: nobody so far'),
})

const Look = z.object({
  credential: z.string(),
  asked: z.number().int(),
  answered: z.number().int().describe('A look that was asked for is done when this has come to its number'),
  lookedAt: z.string().nullable(),
  stores: z
    .array(
      z.discriminatedUnion('state', [
        z.object({ store: z.string(), state: z.literal('governed') }),
        DriftedStore.extend({ state: z.literal('drifted') }),
        z.object({ store: z.string(), state: z.literal('unknown'), error: z.string() }),
      ]),
    )
    .describe('What the last look showed. Never a value'),
  openRotation: z.string().nullable().describe('It moves the stores itself, so nothing is looked at'),
  drift: Drift.nullable(),
})

const tags = ['drift']
const params = z.object({ name: Name })

export function driftRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/drift',
    {
      config: { action: 'read' },
      schema: {
        summary: 'What stores show that Rekey did not write, and is not settled',
        tags,
        security: SECURED,
        response: answers(z.array(Drift)),
      },
    },
    async () => ledger.listDrift(),
  )
  api.get(
    '/credentials/:name/drift',
    {
      config: { action: 'read', resource: 'credential' },
      schema: {
        summary: "The last look at a credential's stores",
        tags,
        security: SECURED,
        params,
        response: answers(Look),
      },
    },
    async ({ params: { name } }) => ledger.showLook(name),
  )
  api.post(
    '/credentials/:name/drift/look',
    {
      config: { action: 'scan', resource: 'credential' },
      schema: {
        summary: "Have a rotator look at a credential's stores now",
        description:
          'It is answered when `answered` of the look has come to `asked`. 409 `not_allowed_now` where a rotation is under way, or no value is in use.',
        tags,
        security: SECURED,
        headers: ActorHeader,
        params,
        body: z.strictObject({}),
        response: answers(z.object({ asked: z.number().int() })),
      },
    },
    async ({ params: { name } }) => ({ asked: await ledger.askLook(name) }),
  )
  api.post(
    '/credentials/:name/drift/settle',
    {
      config: { action: 'settle', resource: 'credential' },
      schema: {
        summary: 'Settle what somebody changed in a store by hand',
        description:
          'A rotation replaces what was seen, and nothing that is written after that: the one under way, which goes on if it is held at that, or a new one. 409 `not_allowed_now` where nothing has drifted, or the stores show something else than `seen`.',
        tags,
        security: SECURED,
        headers: OrderHeaders,
        params,
        body: Order.extend({
          seen: z
            .record(z.string(), z.string().nullable())
            .describe('The version that each store showed to whoever decides this; null: none'),
        }),
        response: answers(
          z.object({
            drift: z.number().int(),
            rotation: z.string().describe('That replaces what is there'),
          }),
        ),
      },
    },
    async (request) => {
      const { params, body, caller } = request
      const { seen, reason, ticket } = body
      const order = { seen, actor: actorOf(caller), reason, ...(ticket && { ticket }) }
      return ledger.order(orderKey(request), (orders) => orders.settleDrift(params.name, order))
    },
  )
}
