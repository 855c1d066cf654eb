import type { Plan } from '../plan.ts'
import { effectName, roles, rotationOf, shortened } from './names.ts'

/** What a statement writes, in words: one for each thing in it. Undefined: it writes nothing. */
export type Writes = (plan: Plan, rows: Record<string, unknown>[]) => string[]

/** Audit records travel by their place in the chain; this remembers what each of them is about. */
const recordTypes = new Map<number, string>()
let unsent: number[] = []

type Rule = { text: RegExp; writes: (values: unknown[]) => Writes; onlyAfter?: boolean }

const effect =
  (verb: string) =>
  (values: unknown[]): Writes =>
  (plan) => [`${verb} ${effectName(String(values[0]), plan)}`]
const fixed = (name: string) => (): Writes => () => [name]

const RULES: Rule[] = [
  { text: /update effect e set attempt/, writes: effect('lease') },
  { text: /^update effect set state = 'done', outcome/, writes: effect('done') },
  { text: /^update effect set state = 'done', done_at/, writes: effect('fire') },
  { text: /^update effect set state = \$\d, outcome/, writes: effect('fail') },
  {
    // It looks for whatever waits, so only its answer says whether there was anything.
    text: /^update effect set relayed_at/,
    writes: () => (plan, rows) => rows.map((row) => `relayed ${effectName(String(row.key), plan)}`),
    onlyAfter: true,
  },
  {
    // Its first entry names it: how much follows at once depends on who came first.
    text: /insert into journal/,
    writes: (values) => () => [`journal ${entriesOf(values[3])[0]?.type}`],
  },
  {
    text: /^insert into audit_out/,
    writes: (values) => (plan) => remember(values[0], plan).map((type) => `record ${type}`),
  },
  {
    text: /^update audit_out set sent_at/,
    writes: (values) => () => typesAt(values[0]).map((type) => `sent ${type}`),
  },
  { text: /^update audit_out set settled_at/, writes: fixed('settled') },
  {
    text: /update placement p set proved_revision = a\.revision/,
    writes: (values) => (plan) =>
      (JSON.parse(String(values[0])) as { node: string; proved: number[] }[]).map(
        ({ node, proved }) => `ack ${shortened(node, plan)} ${roles(proved, plan)}`,
      ),
  },
  { text: /^update effect set lease_until = greatest/, writes: fixed('renew') },
  { text: /update placement p set reported_at/, writes: fixed('usage') },
  { text: /^update node n set heard_at/, writes: fixed('heard') },
  { text: /^update node set state = 'lost'/, writes: fixed('lose silent') },
]

/** Undefined: a read, or a word about the transaction. */
export function writesOf(
  text: string,
  values: unknown[],
): { writes: Writes; onlyAfter: boolean } | undefined {
  const statement = text.trim()
  const rule = RULES.find((candidate) => candidate.text.test(statement))
  if (rule) return { writes: rule.writes(values), onlyAfter: rule.onlyAfter ?? false }
  if (!/^(insert|update|delete|with) /.test(statement)) return undefined
  const found = /(?<!for )\b(insert into|update|delete from) (\w+)/.exec(statement)
  return found ? { writes: fixed(`${found[1]} ${found[2]}`)(), onlyAfter: false } : undefined
}

/** A transaction by what it decides; what else it writes says nothing more. */
export function transaction(parts: string[]): string {
  const finished = parts.find((part) => /^(done|fail) /.test(part))
  if (finished !== undefined) return finished
  const decided = parts.filter((part) => /^(fire|journal) /.test(part))
  return (decided.length > 0 ? decided : [...new Set(parts)]).join(', ')
}

/** A read that says which records are about to be sent. */
export function noteUnsent(text: string, rows: Record<string, unknown>[], plan: Plan): void {
  if (!/^select position, sequence, key, bytes, hash from audit_out where sent_at/.test(text.trim())) return
  remember(JSON.stringify(rows), plan)
  unsent = rows.map((row) => Number(row.sequence))
}

export function unsentTypes(): string[] {
  return typesAt(unsent)
}

function remember(json: unknown, plan: Plan): string[] {
  return (JSON.parse(String(json)) as { sequence: number; bytes: string }[]).flatMap(
    ({ sequence, bytes }) => {
      const { metadata } = JSON.parse(bytes)
      // Heartbeats, and the end of the journey before this one.
      if (metadata.event_code === 'AuditHeartbeat') return []
      if (metadata.correlation_uid !== undefined && metadata.correlation_uid !== rotationOf(plan)) return []
      recordTypes.set(Number(sequence), metadata.event_code)
      return [metadata.event_code]
    },
  )
}

function typesAt(sequences: unknown): string[] {
  return (sequences as number[]).flatMap((sequence) => recordTypes.get(Number(sequence)) ?? [])
}

function entriesOf(json: unknown): { type: string }[] {
  return JSON.parse(String(json))
}
