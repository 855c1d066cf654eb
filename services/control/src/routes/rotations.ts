import { Name } from '@rekey/contracts'
import { type Input, MODES } from '@rekey/core'
import { z } from 'zod'
import { OrderHeaders, orderKey, worded } from './order.ts'
import { type Api, actorOf, answers, count, Order, RotationId, SECURED, type Shared } from './route.ts'

const Hold = z.object({
  reason: z.string(),
  about: z.string().describe("An effect's key, a wave's revision, a generation, or the rotation"),
  detail: z.string(),
  at: z.number(),
})

const Rotation = z.object({
  id: z.string(),
  credential: z.string(),
  phase: z.string(),
  goal: z
    .enum(['replace', 'retire', 'keep'])
    .describe('replace: a successor follows; retire: none does; keep: an offboarding that was called off'),
  mode: z.enum(MODES),
  compromised: z.array(z.number().int()).describe('Generations that leaked'),
  generation: z.number().int().nullable().describe('The new one; null: an offboarding makes none'),
  base: z.number().int().nullable().describe('The one in use when it opened; null: there was none'),
  cause: z.object({
    kind: z.enum(['change', 'order', 'leak', 'schedule', 'first-value']),
    actor: z.string(),
    rule: z.string().optional(),
    event: z.string().optional(),
    reason: z.string(),
    ticket: z.string().optional(),
  }),
  causes: z.number().int().describe('How many causes it satisfies'),
  followUps: z.number().int().describe('Causes that exactly one rotation will follow for'),
  hold: Hold.nullable().describe('The oldest one'),
  holds: z.array(Hold),
  outcome: z.string().nullable().describe('closed, rolled-back or cancelled'),
  exceptions: z.array(z.string()).describe('What could not be shown'),
  openedAt: z.string(),
  closedAt: z.string().nullable(),
})

const DrainTerm = z.object({ ms: z.number(), why: z.string() })

const RotationDetail = Rotation.extend({
  waitsFor: z.array(z.string()),
  waves: z.array(
    z.object({
      purpose: z.string(),
      wave: z.number().int(),
      of: z.number().int(),
      nodes: z.array(z.string()),
      watchedUntil: z
        .number()
        .nullable()
        .describe('It is proved, and its nodes are watched until then (milliseconds since the epoch)'),
    }),
  ),
  drain: z
    .array(DrainTerm)
    .describe('What bounds its drain from below, the longest first: that one dominates'),
  longestRequest: DrainTerm.nullable().describe('The longest request that a node declares'),
  nodes: z.array(
    z.object({
      node: z.string(),
      state: z.string(),
      revision: z.number().int(),
      accept: z.array(z.number().int()),
      provedRevision: z.number().int(),
      proved: z.array(z.number().int()),
      nack: z.looseObject({ reason: z.string(), detail: z.string() }).nullable(),
      usage: z.array(
        z.object({
          generation: z.number().int(),
          inFlight: z.number().int(),
          lastUsedAt: z.number().nullable(),
          requests: z.number(),
          failures: z.number().optional(),
          recent: z
            .object({ requests: z.number(), failures: z.number() })
            .optional()
            .describe('About the last half minute: a rotation brakes by it'),
        }),
      ),
      reportedAt: z.string().nullable(),
      labels: z.record(z.string(), z.string()),
      adapter: z.object({ kind: z.string(), disruption: z.string() }).nullable(),
    }),
  ),
  effects: z.array(
    z.object({
      key: z.string(),
      kind: z.string(),
      state: z.string(),
      attempt: z.number().int(),
      outcome: z.unknown(),
    }),
  ),
  notifications: z
    .array(
      z.object({
        owner: z.string(),
        target: z.string(),
        summary: z.string(),
        state: z.enum(['pending', 'sent', 'failed']),
        attempts: z.number().int(),
        error: z.string().nullable(),
        at: z.string(),
      }),
    )
    .describe('What its owner was told of it, or is to be told'),
})

export const JournalEntry = z.object({
  position: z.number().int(),
  stream: z.string(),
  seq: z.number().int(),
  type: z.string(),
  data: z.record(z.string(), z.unknown()),
  actor: z.string(),
  at: z.string(),
})

const tags = ['rotations']
const params = z.object({ id: RotationId })

export function rotationRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/rotations',
    {
      config: { action: 'read' },
      schema: {
        summary: 'Rotations, newest first',
        tags,
        security: SECURED,
        querystring: z.strictObject({ credential: Name.optional(), limit: count(1, 1_000).default(50) }),
        response: answers(z.array(Rotation)),
      },
    },
    async ({ query: { credential, limit } }) =>
      ledger.listRotations({ limit, ...(credential === undefined ? {} : { credential }) }),
  )
  api.get(
    '/rotations/:id',
    {
      config: { action: 'read', resource: 'rotation' },
      schema: {
        summary: 'One rotation: what it did, what it waits for, and what each node proved',
        tags,
        security: SECURED,
        params,
        response: answers(RotationDetail),
      },
    },
    async ({ params: { id } }) => ledger.showRotation(id),
  )
  api.get(
    '/rotations/:id/journal',
    {
      config: { action: 'read', resource: 'rotation' },
      schema: {
        summary: 'What happened to it, in order',
        tags,
        security: SECURED,
        params,
        querystring: z.strictObject({
          after: count(0, Number.MAX_SAFE_INTEGER).default(0).describe('Only entries after this position'),
          limit: count(1, 10_000).default(1_000),
        }),
        response: answers(z.array(JournalEntry)),
      },
    },
    async ({ params: { id }, query }) => {
      const entries = await ledger.journal({ stream: `rotation/${id}`, ...query })
      // A rotation that exists has at least its first entry: nothing at all may mean that there is none.
      if (entries.length === 0) await ledger.endOfRotation(id)
      return entries
    },
  )
  orderRoute('rollback', 'Give the new generation up and go back to the old one', 'RollbackAsked')
  orderRoute('hold', 'Stop every step of a routine rotation until it is resumed', 'HoldAsked')
  orderRoute('resume', 'Lift the holds, and try again what had failed', 'ResumeAsked')

  function orderRoute(
    verb: 'rollback' | 'hold' | 'resume',
    summary: string,
    type: 'RollbackAsked' | 'HoldAsked' | 'ResumeAsked',
  ) {
    api.post(
      `/rotations/:id/${verb}`,
      {
        config: { action: verb, resource: 'rotation' },
        schema: {
          summary,
          description: '409 `not_allowed_now` where the rotation is past the step at which that is possible.',
          tags,
          security: SECURED,
          headers: OrderHeaders,
          params,
          body: Order,
          response: answers(Rotation),
        },
      },
      async (request) => {
        const { id } = request.params
        const actor = actorOf(request.caller)
        const input: Input = { type, actor, reason: worded(request.body) }
        await ledger.order(orderKey(request), (orders) => orders.submit(id, input, actor))
        return ledger.showRotation(id)
      },
    )
  }
}
