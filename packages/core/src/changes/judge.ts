import type { Change, Fact, KnownWorkload, Rule } from './change.ts'

export type Difference = { field: Fact | 'environment'; was: string | null; is: string }

/** One credential that must rotate, and the first rule that said so. */
export type Match = { rule: string; credential: string }

export type Judgement =
  /** `knownIn`: the name is known, but in this other environment. */
  | { kind: 'unknown-workload'; knownIn?: string }
  | { kind: 'no-change' }
  | { kind: 'no-rule'; differences: Difference[] }
  | { kind: 'rotate'; differences: Difference[]; matches: Match[] }

const FACTS: readonly Fact[] = ['artifact', 'vendor', 'dataset', 'zone']

/**
 * What does a change ask for? It is found by comparing with what is known, never by trusting the event: an event
 * that says "changed" and states what is known already is `no-change`, however often it comes.
 *
 * Order. A fact that is known from a later time than the event's is not overturned by it: events that were delayed or
 * replayed change nothing.
 *
 * Environments. A workload is known in one environment, and its credentials belong there.
 * - `environment.modified` is the only type that speaks about the environment itself. Another environment than the
 *   known one is a difference: the workload has moved.
 * - Every other type speaks about a workload *in* an environment. A deployment of chat-gateway to staging says
 *   nothing about chat-gateway in prod: there the workload is unknown. Were it a difference, each deployment to
 *   staging would rotate the keys of prod, and the next one to prod would rotate them back.
 * - An event without an environment is about the known one.
 */
export function judge(known: KnownWorkload | undefined, change: Change, rules: Rule[]): Judgement {
  if (known === undefined || known.name !== change.workload) return { kind: 'unknown-workload' }
  if (isElsewhere(known, change)) return { kind: 'unknown-workload', knownIn: known.environment }

  const differences = compare(known, change)
  if (differences.length === 0) return { kind: 'no-change' }

  const matches = match(known, change, rules)
  return matches.length === 0 ? { kind: 'no-rule', differences } : { kind: 'rotate', differences, matches }
}

/**
 * What is known after the change, which also is how recently it was said. A change that is not about this workload, or
 * here, leaves it as it is, and so does what is older than what is known.
 */
export function apply(known: KnownWorkload, change: Change): KnownWorkload {
  if (known.name !== change.workload || isElsewhere(known, change)) return known
  const next: KnownWorkload = { ...known }
  for (const { field, is } of stated(known, change)) {
    next[field] = is
    if (change.at !== undefined) next.since = { ...next.since, [field]: change.at }
  }
  return next
}

function isElsewhere(known: KnownWorkload, change: Change): boolean {
  if (change.type === 'environment.modified') return false
  return change.environment !== undefined && change.environment !== known.environment
}

function compare(known: KnownWorkload, change: Change): Difference[] {
  return stated(known, change).filter(({ was, is }) => was !== is)
}

/** Everything that the change says, but for what is known from a later time. */
function stated(known: KnownWorkload, { environment, facts, at }: Change): Difference[] {
  const said: Difference[] = []
  const isStale = (field: Difference['field']) => at !== undefined && at < (known.since?.[field] ?? at)
  if (environment !== undefined && !isStale('environment'))
    said.push({ field: 'environment', was: known.environment, is: environment })
  for (const field of FACTS) {
    const is = facts[field]
    if (is !== undefined && !isStale(field)) said.push({ field, was: known[field] ?? null, is })
  }
  return said
}

/** In the rules' order; a credential that several rules name rotates once, because of the first. */
function match(known: KnownWorkload, change: Change, rules: Rule[]): Match[] {
  const matches = new Map<string, Match>()
  for (const rule of rules) {
    if (!applies(rule, known, change)) continue
    for (const credential of rule.rotate) {
      if (!matches.has(credential)) matches.set(credential, { rule: rule.name, credential })
    }
  }
  return [...matches.values()]
}

/** A move concerns the environment that is left and the one that is entered: a rule for either applies. */
function applies({ when }: Rule, known: KnownWorkload, change: Change): boolean {
  return (
    when.change.includes(change.type) &&
    (when.workload === undefined || when.workload === known.name) &&
    (when.environment === undefined ||
      when.environment === known.environment ||
      when.environment === change.environment)
  )
}
