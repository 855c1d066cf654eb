import { RekeyError, RuleSpec } from '@rekey/contracts'
import { judge, type KnownWorkload, type Rule } from '@rekey/core'
import { decode, isLeak, toChange } from '@rekey/events'
import { z } from 'zod'
import { type Api, answers, SECURED, type Shared } from './route.ts'

const Judgement = z.object({
  judgement: z.enum(['unknown-workload', 'no-change', 'no-rule', 'rotate']),
  reason: z.string(),
  change: z.object({
    type: z.string(),
    workload: z.string(),
    environment: z.string().optional(),
    facts: z.record(z.string(), z.string()),
  }),
  differences: z.array(z.object({ field: z.string(), was: z.string().nullable(), is: z.string() })),
  matches: z.array(
    z.object({
      rule: z.string(),
      credential: z.string(),
      openRotation: z.string().nullable().describe('Under way: the cause would join it or follow it'),
    }),
  ),
})
type Judgement = z.infer<typeof Judgement>

const tags = ['rules']

export function ruleRoutes(api: Api, { ledger }: Shared): void {
  api.get(
    '/rules',
    {
      config: { action: 'read' },
      schema: {
        summary: 'All rules',
        tags,
        security: SECURED,
        response: answers(z.array(z.object({ name: z.string(), spec: RuleSpec }))),
      },
    },
    async () => (await ledger.listRules()).map(({ name, spec }) => ({ name, spec: spec as RuleSpec })),
  )
  api.post(
    '/rules/test',
    {
      config: { action: 'test' },
      schema: {
        summary: 'What an event would do now, without doing it',
        tags,
        security: SECURED,
        body: z.strictObject({ event: z.looseObject({}).describe('A CloudEvent in its JSON form') }),
        response: answers(Judgement),
      },
    },
    async ({ body }): Promise<Judgement> => {
      const change = readChange(body.event)
      const [workloads, rules, credentials] = await Promise.all([
        ledger.listWorkloads(),
        ledger.listRules(),
        ledger.listCredentials(),
      ])
      const known = workloads.find((w) => w.name === change.workload)?.known as KnownWorkload | undefined
      const found = judge(
        known,
        change,
        rules.map((rule) => ({ name: rule.name, ...(rule.spec as Omit<Rule, 'name'>) })),
      )
      const matches = found.kind === 'rotate' ? found.matches : []
      return {
        judgement: found.kind,
        reason: reasonOf(found, change.workload),
        change,
        differences: 'differences' in found ? found.differences : [],
        matches: matches.map((match) => ({
          ...match,
          openRotation: credentials.find((c) => c.name === match.credential)?.openRotation ?? null,
        })),
      }
    },
  )
}

function readChange(event: Record<string, unknown>) {
  const decoded = decode({
    key: null,
    value: Buffer.from(JSON.stringify(event)),
    headers: { 'content-type': 'application/cloudevents+json' },
  })
  const result = decoded.ok ? toChange(decoded.event) : decoded
  if (!result.ok) throw new RekeyError('invalid_event', `intake would reject it: ${result.reason}`)
  if (isLeak(result.change))
    throw new RekeyError('invalid_event', 'it reports a leak, which asks no rule: its credential is replaced')
  return result.change
}

function reasonOf(found: ReturnType<typeof judge>, workload: string): string {
  switch (found.kind) {
    case 'unknown-workload':
      return found.knownIn === undefined
        ? `no workload named ${workload} is configured`
        : `${workload} is known in the environment ${found.knownIn}, and the event is about another one`
    case 'no-change':
      return `nothing in it differs from what is known of ${workload}`
    case 'no-rule':
      return `${workload} changed, and no rule names that`
    case 'rotate':
      return `${workload} changed, and ${found.matches.length === 1 ? 'a credential' : `${found.matches.length} credentials`} must rotate`
    default:
      return found satisfies never
  }
}
