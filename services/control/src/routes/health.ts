import { z } from 'zod'
import type { Api, Shared } from './route.ts'

const State = z.object({ status: z.string(), failed: z.array(z.string()).optional() })

const CHECK_MS = 2_000

export function healthRoutes(app: Api, { ledger }: Shared): void {
  app.get(
    '/healthz',
    { schema: { summary: 'Whether the process lives', tags: ['health'], response: { 200: State } } },
    async () => ({ status: 'ok' }),
  )
  app.get(
    '/readyz',
    {
      schema: {
        summary: 'Whether it can serve: 503 names what fails',
        tags: ['health'],
        response: { 200: State, 503: State },
      },
    },
    async (_request, reply) => {
      const late = new Promise<false>((resolve) => setTimeout(resolve, CHECK_MS, false).unref())
      const well = await Promise.race([ledger.ping().then(() => true), late]).catch(() => false)
      return well ? { status: 'ready' } : reply.code(503).send({ status: 'not ready', failed: ['ledger'] })
    },
  )
  app.get(
    '/openapi.json',
    {
      schema: {
        summary: 'This API as an OpenAPI 3.1 document',
        tags: ['health'],
        response: { 200: z.looseObject({}) },
      },
    },
    async () => app.swagger() as unknown as Record<string, unknown>,
  )
}
