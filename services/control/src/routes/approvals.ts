import { RekeyError } from '@rekey/contracts'
import { z } from 'zod'
import { worded } from './order.ts'
import { ActorHeader, type Api, actorOf, answers, Order, SECURED, type Shared } from './route.ts'

const Approval = z.object({
  id: z.string(),
  requester: z.string(),
  action: z.string(),
  resource: z
    .looseObject({ type: z.enum(['System', 'Credential', 'Node']), id: z.string().optional() })
    .describe('What the order is about; System: all of Rekey'),
  blastRadius: z.number().int().describe('Of how many nodes'),
  reason: z.string(),
  ticket: z.string().nullable(),
  state: z.enum(['open', 'approved', 'used', 'expired']),
  askedAt: z.string(),
  expiresAt: z.string().describe('Until when it can be approved, and the order given'),
  approver: z.string().nullable(),
})

const tags = ['approvals']
const params = z.object({ id: z.string().regex(/^[a-z0-9-]{1,40}$/, 'an id such as ap-0123456789ab') })

export function approvalRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/approvals',
    {
      config: { action: 'read' },
      schema: {
        summary: 'Orders that need, or had, the agreement of a second person; newest first',
        tags,
        security: SECURED,
        response: answers(z.array(Approval)),
      },
    },
    async () => ledger.listApprovals(),
  )
  api.get(
    '/approvals/:id',
    {
      config: { action: 'read' },
      schema: { summary: 'One of them', tags, security: SECURED, params, response: answers(Approval) },
    },
    async ({ params: { id } }) => {
      const approval = await ledger.findApproval(id)
      if (!approval) throw new RekeyError('not_found', `there is no approval ${id}`)
      return approval
    },
  )
  api.post(
    '/approvals/:id/approve',
    {
      config: { action: 'approve', resource: 'approval' },
      schema: {
        summary: "Agree with another person's order, which they may give once then",
        description: '409 `not_allowed_now` where it is too late, or an order of your own.',
        tags,
        security: SECURED,
        headers: ActorHeader,
        params,
        body: Order,
        response: answers(Approval),
      },
    },
    async (request) =>
      ledger.approve(request.params.id, { actor: actorOf(request.caller), reason: worded(request.body) }),
  )
}
