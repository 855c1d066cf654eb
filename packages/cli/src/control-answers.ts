import type { RuleSpec, Verdict, WorkloadSpec } from '@rekey/contracts'
import type { KnownWorkload } from '@rekey/core'
import type { ConfigurationChange, Ledger } from '@rekey/ledger'

/** What control answers, where it is not one of the ledger's views as they are. */

export type ConfigurationAnswer = { applied: boolean; changes: ConfigurationChange[] }

export type Started = { rotation: string; how: 'opened' | 'joined' | 'queued' }

export type ExcusedAnswer = { node: string; credential: string | null; forMs: number }

export type JudgedVerdict = Verdict & { digest: string }

export type JudgementAnswer = {
  judgement: 'unknown-workload' | 'no-change' | 'no-rule' | 'rotate'
  reason: string
  change: { type: string; workload: string; environment?: string; facts: Record<string, string> }
  differences: { field: string; was: string | null; is: string }[]
  matches: { rule: string; credential: string; openRotation: string | null }[]
}

export type NodeAnswer = Awaited<ReturnType<Ledger['listNodes']>>[number]

export type RuleAnswer = { name: string; spec: RuleSpec }

export type WorkloadAnswer = { name: string; spec: (typeof WorkloadSpec)['_output']; known: KnownWorkload }
