import { Name, RekeyError } from '@rekey/contracts'
import { z } from 'zod'
import { ActorHeader, type Api, actorOf, answers, Order, SECURED, type Shared } from './route.ts'

const Recovered = z.object({
  credential: z.string(),
  ledger: z.number().int().nullable().describe('What the restored ledger believed to be current'),
  verdict: z
    .enum(['agrees', 'newer', 'differs', 'nothing'])
    .nullable()
    .describe('What the stores show, compared with that; null: not looked at so far'),
  stores: z.array(z.object({ store: z.string(), current: z.number().int().nullable() })),
  generations: z
    .array(z.object({ generation: z.number().int(), tried: z.string(), stores: z.array(z.string()) }))
    .describe('Every generation that is still in a store, and whether every endpoint accepts it'),
  closed: z.string().nullable().describe("The ledger's open rotation, which ended"),
  waiting: z.number().int().describe('Causes that one rotation will follow for'),
  error: z.string().nullable(),
  releasedBy: z.string().nullable(),
  rotation: z.string().nullable().describe('What the release opened'),
})

const Recovery = z.object({
  id: z.string(),
  askedBy: z.string(),
  reason: z.string(),
  askedAt: z.string(),
  auditHead: z.number().int().nullable().describe('Last record of the audit topic; null: not asked so far'),
  held: z.number().int(),
  credentials: z.array(Recovered),
})

const Released = z.object({
  credential: z.string(),
  generation: z.number().int().nullable(),
  rotation: z.string().nullable(),
})

const tags = ['recovery']

export function recoveryRoutes(api: Api, { ledger }: Shared): void {
  const show = async () => {
    const recovery = await ledger.showRecovery()
    if (!recovery) throw new RekeyError('not_found', 'the ledger was never restored, as far as it was told')
    return recovery
  }
  api.get(
    '/recovery',
    {
      config: { action: 'read' },
      schema: {
        summary: 'The last recovery: what was found of each credential, and what is still held',
        description: '404 `not_found` where there never was one.',
        tags,
        security: SECURED,
        response: answers(Recovery),
      },
    },
    show,
  )
  api.post(
    '/recovery',
    {
      config: { action: 'recover' },
      schema: {
        summary: 'Say that an older backup was restored: counters go past what exists, everything is held',
        description: 'Open rotations end; nothing is done about any credential until it is released.',
        tags,
        security: SECURED,
        headers: ActorHeader,
        body: Order,
        response: answers(Recovery),
      },
    },
    async ({ body: { reason }, caller }) => {
      await ledger.recover({ actor: actorOf(caller), reason })
      return show()
    },
  )
  api.post(
    '/recovery/:name/release',
    {
      config: { action: 'release', resource: 'credential' },
      schema: {
        summary: 'Take over what was found of a credential, and go on from there',
        description:
          '409 `not_allowed_now` where the stores show different values, or none, and `generation` does not say which.',
        tags,
        security: SECURED,
        headers: ActorHeader,
        params: z.object({ name: Name }),
        body: z.strictObject({
          generation: z.number().int().min(1).optional().describe('What is current, where the stores differ'),
          ended: z.literal(true).optional().describe('It was offboarded after the backup'),
        }),
        response: answers(Released),
      },
    },
    async ({ params: { name }, body: { generation, ended }, caller }) =>
      ledger.release(name, {
        actor: actorOf(caller),
        ...(generation === undefined ? {} : { generation }),
        ...(ended && { ended }),
      }),
  )
}
