import { Name } from '@rekey/contracts'
import { z } from 'zod'
import { OrderHeaders, orderKey, worded } from './order.ts'
import { type Api, actorOf, answers, Order, SECURED, type Shared } from './route.ts'

/** Who wants a credential to rest for longer does not want it to rotate. */
const PAUSE_MS_MAX = 30 * 86_400_000

const shared = { tags: ['credentials'], security: SECURED, headers: OrderHeaders }
const PAUSED = answers(z.object({ credentials: z.array(z.string()), until: z.string() }))
const GO_ON = answers(z.object({ credentials: z.array(z.string()) }))

/** For one credential, and for all of them: who may do the one may not always do the other. */
const SCOPES = [
  {
    path: '/credentials/:name',
    of: 'a credential',
    params: z.object({ name: Name }),
    resource: 'credential',
  },
  { path: '', of: 'any credential', params: z.object({}), resource: undefined },
] as const

export function pauseRoutes(api: Api, { ledger }: Shared): void {
  for (const { path, of, params, resource } of SCOPES) {
    const config = { action: 'pause', ...(resource && { resource }) } as const
    api.post(
      `${path}/pause`,
      {
        config,
        schema: {
          ...shared,
          summary: `No routine rotation of ${of} goes on for a while; emergencies do`,
          description:
            'What is under way is held where it is, what opens is held at its start, and both go on by themselves. Said again, the later word counts.',
          params,
          body: Order.extend({ forMs: z.number().int().min(1_000).max(PAUSE_MS_MAX) }),
          response: PAUSED,
        },
      },
      async (request) => {
        const { forMs } = request.body
        const order = { actor: actorOf(request.caller), reason: worded(request.body), forMs }
        return ledger.order(orderKey(request), (orders) => orders.pause(nameIn(request.params), order))
      },
    )
    api.post(
      `${path}/pause/end`,
      {
        config,
        schema: {
          ...shared,
          summary: `Routine rotations of ${of} go on before the pause is over`,
          description: 'What a human holds without an end stays held.',
          params,
          body: Order,
          response: GO_ON,
        },
      },
      async (request) => {
        const order = { actor: actorOf(request.caller), reason: worded(request.body) }
        return ledger.order(orderKey(request), (orders) => orders.endPause(nameIn(request.params), order))
      },
    )
  }
}

function nameIn(params: { name?: string }): string | undefined {
  return params.name
}
