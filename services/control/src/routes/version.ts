import { z } from 'zod'
import { VERSION } from '../version.ts'
import { type Api, answers, SECURED } from './route.ts'

export function versionRoutes(api: Api): void {
  api.get(
    '/version',
    {
      config: { action: 'read' },
      schema: {
        summary: 'The version of control and of this API',
        tags: ['health'],
        security: SECURED,
        response: answers(z.object({ version: z.string(), api: z.literal('v1') })),
      },
    },
    async () => ({ version: VERSION, api: 'v1' as const }),
  )
}
