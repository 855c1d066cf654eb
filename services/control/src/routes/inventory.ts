import { RekeyError } from '@rekey/contracts'
import { z } from 'zod'
import { ActorHeader, type Api, actorOf, answers, SECURED, type Shared } from './route.ts'

const Found = z.object({
  places: z.array(
    z.object({
      place: z.string(),
      listed: z.number().int(),
      error: z.string().nullable().describe('Why not all of it was listed; null: all was'),
    }),
  ),
  governed: z.number().int().describe('Names that belong to a credential'),
  ungoverned: z
    .array(
      z.object({
        place: z.string(),
        name: z.string(),
        changedAt: z.string().nullable().describe('Where the backend lists it: Vault does not'),
        owner: z.literal('unknown'),
      }),
    )
    .describe('What no credential names'),
  missing: z
    .array(
      z.object({
        place: z.string(),
        name: z.string(),
        credential: z.string(),
        owner: z.string(),
        store: z.string(),
      }),
    )
    .describe('What a credential names, and the backend has not'),
})

const Scan = z.object({
  id: z.number().int(),
  askedBy: z.string(),
  askedAt: z.string(),
  finishedAt: z.string().nullable(),
  found: Found.nullable().describe('Null until a rotator has looked. Names and dates, never a value'),
})

const shared = { tags: ['inventory'], security: SECURED }

export function inventoryRoutes(api: Api, { ledger }: Shared): void {
  api.post(
    '/inventory/scans',
    {
      config: { action: 'scan' },
      schema: {
        ...shared,
        summary: 'Have a rotator list what the backends hold, and compare it with what is governed',
        description: 'While one is under way it is the answer to everybody who asks.',
        headers: ActorHeader,
        body: z.strictObject({}),
        response: answers(Scan),
      },
    },
    async ({ caller }) => ledger.askScan(actorOf(caller)),
  )
  api.get(
    '/inventory/scans/:scan',
    {
      config: { action: 'scan' },
      schema: {
        ...shared,
        summary: 'A scan, and what it found',
        params: z.object({ scan: z.string().regex(/^\w{1,15}$/, 'the number of a scan') }),
        response: answers(Scan),
      },
    },
    async ({ params: { scan } }) => {
      if (!/^\d+$/.test(scan)) throw new RekeyError('not_found', `there is no scan ${scan}`)
      return ledger.showScan(Number(scan))
    },
  )
}
