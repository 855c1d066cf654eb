import { Name, RekeyError } from '@rekey/contracts'
import { z } from 'zod'
import { ActorHeader, type Api, actorOf, answers, Order, SECURED, type Shared } from './route.ts'

const Credential = z.object({
  name: z.string(),
  workload: z.string(),
  purpose: z.string(),
  owner: z.string(),
  environment: z.string(),
  currentGeneration: z.number().int().nullable(),
  openRotation: z.string().nullable(),
  nodes: z.object({ live: z.number().int(), lost: z.number().int() }),
  generations: z.array(
    z.object({
      generation: z.number().int(),
      label: z.string().nullable(),
      validity: z.string(),
      keyId: z.string(),
      storeVersions: z.record(z.string(), z.string()),
    }),
  ),
})

const Started = z.object({
  rotation: z.string(),
  how: z
    .enum(['opened', 'joined', 'queued'])
    .describe('queued: that rotation is under way, and exactly one more follows it'),
})

const tags = ['credentials']

export function credentialRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/credentials',
    {
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
  api.post(
    '/credentials/:name/rotate',
    {
      schema: {
        summary: 'Order a rotation, or join the one under way',
        tags,
        security: SECURED,
        headers: ActorHeader,
        params: z.object({ name: Name }),
        body: Order,
        response: answers(Started),
      },
    },
    async ({ params, body, headers }) =>
      ledger.start(params.name, { kind: 'order', actor: actorOf(headers), reason: body.reason }),
  )
}
