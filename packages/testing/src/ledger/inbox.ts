import type { Verdict } from '@rekey/contracts'
import { apply, type Change, judge } from '@rekey/core'
import { append } from './journal.ts'
import { start } from './submit.ts'
import type { Tables } from './tables.ts'

export type Received = { source: string; id: string; digest: string; emitter: string }

type Judged = Pick<Verdict, 'verdict' | 'reason' | 'rotations'>

/** Judges a change, opens or joins what its rules name, and records the verdict: one transaction. */
export function receive(tables: Tables, event: Received & { change: Change }): Verdict {
  const { source, id, digest, emitter } = event
  const key = `${source} ${id}`
  return tables.transaction(() => {
    const known = tables.inbox.get(key)
    if (known?.digest === digest)
      return {
        ...known.verdict,
        verdict: 'duplicate',
        reason: `judged before: ${known.verdict.verdict}`,
      }
    if (known) {
      append(tables, 'intake', emitter, [
        { type: 'EventConflicted', source, id, digest, first: known.digest },
      ])
      const reason = 'the same id was judged before with other content; nothing was done'
      return { ...known.verdict, verdict: 'conflict', reason, rotations: [] }
    }
    const judged = judgeChange(tables, event)
    const verdict: Verdict = { source, id, ...judged, at: new Date(tables.clock()).toISOString() }
    tables.inbox.put(key, { digest, verdict })
    append(tables, 'intake', emitter, [{ type: 'EventJudged', ...verdict }])
    return verdict
  })
}

function judgeChange(tables: Tables, { source, id, emitter, change }: Received & { change: Change }): Judged {
  const known = tables.workloads.get(change.workload)
  const rules = [...tables.rules.all()].sort((a, b) => (a.name < b.name ? -1 : 1))
  const judgement = judge(known, change, rules)
  if (judgement.kind === 'unknown-workload' || !known) {
    const knownIn = judgement.kind === 'unknown-workload' ? judgement.knownIn : undefined
    const reason =
      knownIn === undefined
        ? `no workload named ${change.workload} is configured`
        : `${change.workload} is known in ${knownIn}, not in ${change.environment}`
    return { verdict: 'unknown-workload', reason, rotations: [] }
  }
  tables.workloads.put(known.name, apply(known, change))
  if (judgement.kind === 'no-change') {
    const reason = `nothing in it differs from what is known of ${known.name}`
    return { verdict: 'no-change', reason, rotations: [] }
  }
  const what = judgement.differences.map((d) => `${d.field} ${d.was ?? 'unknown'} → ${d.is}`).join(', ')
  if (judgement.kind === 'no-rule') {
    const reason = `${known.name} changed (${what}) and no rule names that`
    return { verdict: 'no-rule', reason, rotations: [] }
  }
  const inUse = judgement.matches.filter(({ credential }) => !tables.credentials.get(credential)?.isRetired)
  const matches = inUse.sort((a, b) => (a.credential < b.credential ? -1 : 1))
  if (matches.length === 0) {
    const reason = `${known.name} changed (${what}), and what the rules name was offboarded, or waits to be adopted`
    return { verdict: 'no-rule', reason, rotations: [] }
  }
  const rotations = matches.map(({ credential, rule }) => {
    const reason = `${known.name}: ${what}`
    const started = start(tables, credential, {
      cause: { kind: 'change', actor: emitter, rule, event: `${source} ${id}`, reason },
      mode: 'rotate',
      goal: 'replace',
      compromised: [],
    })
    return { credential, rule, ...started }
  })
  const how = (word: 'opened' | 'joined') => rotations.some((r) => r.how === word)
  const verdict = how('opened') ? 'rotation-opened' : how('joined') ? 'joined' : 'queued'
  return { verdict, reason: `${known.name} changed: ${what}`, rotations }
}
