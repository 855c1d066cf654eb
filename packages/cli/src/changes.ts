import type { ConfigurationChange } from '@rekey/ledger'
import { plain } from './terminal.ts'

/** A configuration's differences, as people read them. */
export function renderChanges(changes: ConfigurationChange[]): string {
  const lines = changes.flatMap((change) => {
    const what = `${change.kind} ${change.name}`
    if (change.action === 'unchanged') return []
    if (change.action === 'create') return [`+ ${what}`]
    const values = change.values.flatMap(({ field, before, after }) => leaves(field, before, after))
    return [`~ ${what}`, ...values.map((line) => `    ${line}`)]
  })
  const n = (action: string) => changes.filter((change) => change.action === action).length
  const total = `${n('create')} new, ${n('update')} changed, ${n('unchanged')} unchanged`
  return plain([...lines, total].join('\n'))
}

export function differs(changes: ConfigurationChange[]): boolean {
  return changes.some((change) => change.action !== 'unchanged')
}

/** `spec.rollout.quietMs: 3000 → 5000`: only what differs. */
function leaves(field: string, before: unknown, after: unknown): string[] {
  if (!isRecord(before) || !isRecord(after)) return [`${field}: ${show(before)} → ${show(after)}`]
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .flatMap((key) => leaves(`${field}.${key}`, before[key], after[key]))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  return value === undefined || value === null ? '(none)' : JSON.stringify(value)
}
