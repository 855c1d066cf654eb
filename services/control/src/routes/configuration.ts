import { RekeyError } from '@rekey/contracts'
import { z } from 'zod'
import { placeFaults, readDocuments } from '../documents.ts'
import { ActorHeader, type Api, actorOf, answers, SECURED, type Shared } from './route.ts'

const ConfigurationChange = z.object({
  kind: z.enum(['Owner', 'Workload', 'Credential', 'Rule']),
  name: z.string(),
  action: z.enum(['create', 'update', 'unchanged']),
  fields: z.array(z.string()),
  values: z.array(z.object({ field: z.string(), before: z.unknown(), after: z.unknown() })),
  rotation: z.string().optional().describe('The rotation that makes the first value of a new credential'),
  awaitsAdoption: z
    .literal(true)
    .optional()
    .describe('Nothing is done about it before its value in use is adopted'),
})

export function configurationRoutes(api: Api, { ledger }: Shared): void {
  api.post(
    '/configuration',
    {
      config: { action: 'diff', applies: 'apply' },
      schema: {
        summary: 'Compare documents with what is configured, and with `apply` write them: all or none',
        description: 'Nothing is removed by leaving it out. Every fault is named at once, with its field.',
        tags: ['configuration'],
        security: SECURED,
        headers: ActorHeader,
        body: z.strictObject({
          documents: z
            .array(z.unknown())
            .max(5_000)
            .describe('Owner, Workload, Credential and Rule documents'),
          apply: z.boolean().describe('False: only say what would change'),
        }),
        response: answers(z.object({ applied: z.boolean(), changes: z.array(ConfigurationChange) })),
      },
    },
    async ({ body, caller }) => {
      const documents = readDocuments(body.documents)
      const { apply } = body
      try {
        const changes = await ledger.configure(documents, { apply, actor: actorOf(caller) })
        return { applied: apply, changes }
      } catch (error) {
        if (RekeyError.is(error) && error.code === 'invalid_configuration')
          throw placeFaults(error, documents)
        throw error
      }
    },
  )
}
