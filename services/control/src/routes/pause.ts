import { Name } from '@rekey/contracts'
import { z } from 'zod'
import { OrderHeaders, orderKey, worded } from './order.ts'
import { type Api, actorOf, answers, Order, SECURED, type Shared } from './route.ts'

/** Who wants a credential to rest for longer does not want it to rotate. */
const PAUSE_MS_MAX = 30 * 86_400_000

const tags = ['credentials']
const credential = Name.optional().describe('Left out: all credentials')

export function pauseRoutes(api: Api, { ledger }: Shared): void {
  api.post(
    '/pause',
    {
      schema: {
        summary: 'No routine rotation goes on for a while; emergencies do',
        description:
          'What is under way is held where it is, what opens is held at its start, and both go on by themselves. Said again, the later word counts.',
        tags,
        security: SECURED,
        headers: OrderHeaders,
        body: Order.extend({ credential, forMs: z.number().int().min(1_000).max(PAUSE_MS_MAX) }),
        response: answers(z.object({ credentials: z.array(z.string()), until: z.string() })),
      },
    },
    async (request) => {
      const { credential: name, forMs } = request.body
      const order = { actor: actorOf(request.headers), reason: worded(request.body), forMs }
      return ledger.order(orderKey(request), (orders) => orders.pause(name, order))
    },
  )
  api.post(
    '/pause/end',
    {
      schema: {
        summary: 'Routine rotations go on before the pause is over',
        description: 'What a human holds without an end stays held.',
        tags,
        security: SECURED,
        headers: OrderHeaders,
        body: Order.extend({ credential }),
        response: answers(z.object({ credentials: z.array(z.string()) })),
      },
    },
    async (request) => {
      const order = { actor: actorOf(request.headers), reason: worded(request.body) }
      return ledger.order(orderKey(request), (orders) => orders.endPause(request.body.credential, order))
    },
  )
}
