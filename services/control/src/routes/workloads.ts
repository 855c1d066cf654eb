import { WorkloadSpec } from '@rekey/contracts'
import { z } from 'zod'
import { type Api, answers, SECURED, type Shared } from './route.ts'

const Known = z.object({
  name: z.string(),
  environment: z.string(),
  artifact: z.string().optional(),
  vendor: z.string().optional(),
  dataset: z.string().optional(),
  zone: z.string().optional(),
  since: z
    .record(z.string(), z.number())
    .optional()
    .describe('When each of them was last said to be so; what comes late and is older changes nothing'),
})

const Workload = z.object({
  name: z.string(),
  spec: WorkloadSpec,
  known: Known.describe('What is known of it now, from its document and events'),
})

export function workloadRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/workloads',
    {
      config: { action: 'read' },
      schema: {
        summary: 'All workloads, and what is known of them',
        tags: ['configuration'],
        security: SECURED,
        response: answers(z.array(Workload)),
      },
    },
    async () =>
      (await ledger.listWorkloads()).map(({ name, spec, known }) => ({
        name,
        spec: spec as Spec,
        known: known as z.infer<typeof Known>,
      })),
  )
}

type Spec = z.infer<typeof WorkloadSpec>
