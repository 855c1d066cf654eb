import { Name } from '@rekey/contracts'
import { z } from 'zod'
import { OrderHeaders, orderKey, worded } from './order.ts'
import { ActorHeader, type Api, actorOf, answers, Order, SECURED, type Shared } from './route.ts'

const Node = z.object({
  node: z.string(),
  workload: z.string(),
  state: z.string().describe('live, lost (silent, and still expected to prove) or gone (declared so)'),
  session: z.number().int(),
  heardAt: z.string().nullable(),
})

/** A node that is away for longer is gone, and comes back with a new join token. */
const EXCUSED_MS_MAX = 30 * 86_400_000

const tags = ['nodes']
const params = z.object({ name: Name })

export function nodeRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/nodes',
    {
      config: { action: 'read' },
      schema: { summary: 'All nodes', tags, security: SECURED, response: answers(z.array(Node)) },
    },
    async () => ledger.listNodes(),
  )
  api.post(
    '/nodes/:name/token',
    {
      config: { action: 'node-token', resource: 'node' },
      schema: {
        summary: 'Make a join token: it enrols this node once',
        description: 'The answer is the only place where the token is ever shown; only its hash is kept.',
        tags,
        security: SECURED,
        headers: ActorHeader,
        params,
        body: z.strictObject({
          workload: Name,
          ttlMs: z.number().int().min(1_000).max(86_400_000).default(900_000),
        }),
        response: answers(z.object({ token: z.string(), expiresAt: z.string() })),
      },
    },
    async ({ params: { name }, body, caller }, reply) => {
      reply.header('cache-control', 'no-store')
      return ledger.createJoinToken({ node: name, actor: actorOf(caller), ...body })
    },
  )
  api.post(
    '/nodes/:name/gone',
    {
      config: { action: 'node-gone', resource: 'node' },
      schema: {
        summary: 'Declare a node gone: nothing waits for it any more',
        description: 'Only the platform or a human can say that; silence never does.',
        tags,
        security: SECURED,
        headers: OrderHeaders,
        params,
        body: Order,
        response: answers(z.object({ node: z.string(), state: z.literal('gone') })),
      },
    },
    async (request) => {
      const { name } = request.params
      const actor = actorOf(request.caller)
      await ledger.order(orderKey(request), (orders) => orders.declareGone(name, actor, worded(request.body)))
      return { node: name, state: 'gone' as const }
    },
  )
  api.post(
    '/nodes/:name/excuse',
    {
      config: { action: 'excuse', resource: 'node' },
      schema: {
        summary: 'Excuse a node for a while: nothing waits for its proof, and somebody answers for it',
        description:
          'A value that dies meanwhile is dead except on this node: the outcome says so. It must refuse what is dead all the same.',
        tags,
        security: SECURED,
        headers: OrderHeaders,
        params,
        body: Order.extend({
          credential: Name.optional().describe('Left out: every credential that the node holds'),
          forMs: z.number().int().min(1_000).max(EXCUSED_MS_MAX),
        }),
        response: answers(
          z.object({ node: z.string(), credential: z.string().nullable(), forMs: z.number().int() }),
        ),
      },
    },
    async (request) => {
      const { name } = request.params
      const { credential, forMs } = request.body
      const about = { actor: actorOf(request.caller), reason: worded(request.body), forMs }
      const of = credential === undefined ? about : { ...about, credential }
      await ledger.order(orderKey(request), (orders) => orders.excuse(name, of))
      return { node: name, credential: credential ?? null, forMs }
    },
  )
}
