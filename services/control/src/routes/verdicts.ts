import { RekeyError, Verdict } from '@rekey/contracts'
import { z } from 'zod'
import { type Api, answers, SECURED, type Shared } from './route.ts'

/** As intake reads them: longer or stranger ids never get a verdict. */
const plain = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^\P{Cc}*$/u, 'must not hold control characters')

export function verdictRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/verdicts/:id',
    {
      config: { action: 'read' },
      schema: {
        summary: 'What became of an event, by its id',
        description: '404 until it was judged. Give `source` too: ids are unique only within their source.',
        tags: ['events'],
        security: SECURED,
        params: z.object({ id: plain(512) }),
        querystring: z.strictObject({ source: plain(1024).optional() }),
        response: answers(
          Verdict.extend({ digest: z.string().describe('Of the content that was judged: SHA-256, hex') }),
        ),
      },
    },
    async ({ params: { id }, query: { source } }) => {
      const verdict = await ledger.verdict(source, id)
      if (!verdict) throw new RekeyError('not_found', `no event ${id} was judged so far`)
      return verdict
    },
  )
}
