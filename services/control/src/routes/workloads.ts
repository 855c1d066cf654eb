import { WorkloadSpec } from '@rekey/contracts'
import { z } from 'zod'
import { type Api, answers, SECURED, type Shared } from './route.ts'

const Workload = z.object({
  name: z.string(),
  spec: WorkloadSpec,
  known: z.record(z.string(), z.string()).describe('What is known of it now, from its document and events'),
})

export function workloadRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/workloads',
    {
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
        known: known as Record<string, string>,
      })),
  )
}

type Spec = z.infer<typeof WorkloadSpec>
