import { CredentialSpec, RekeyError, type Verdict } from '@rekey/contracts'
import {
  apply,
  type Change,
  judge,
  judgeLeak,
  type KnownCredential,
  type KnownWorkload,
  type Leak,
  type Match,
  type Rule,
} from '@rekey/core'
import { clock, type Database, type Queryable } from './database.ts'
import { hasUnfingerprinted, ownerOf } from './fingerprints.ts'
import { append } from './journal.ts'
import { awaitsAdoption, type CredentialRow, startIn } from './submit.ts'

/** One event as it arrived. `digest` covers its whole content: the same id with another digest is refused. */
export type Received = { source: string; id: string; digest: string; emitter: string }

/** Judges a change or a leak, opens or joins what it asks for, and records the verdict: one transaction. */
export async function receive(db: Database, event: Received & { change: Change | Leak }): Promise<Verdict> {
  const { change, ...received } = event
  return once(db, event, (tx) =>
    change.type === 'credential.leaked'
      ? judgeReport(tx, received, change)
      : judgeChange(tx, { ...received, change }),
  )
}

async function judgeChange(tx: Queryable, event: Received & { change: Change }): Promise<Judged> {
  // A clock that runs ahead must not make what it says the last word.
  const now = await clock(tx)
  const change = { ...event.change, at: Math.min(event.change.at ?? now, now) }
  const { rows } = await tx.query('select known from workload where name = $1 for update', [change.workload])
  const known: KnownWorkload | undefined = rows[0]?.known
  const { rows: rules } = await tx.query('select name, spec from rule order by name')
  const judgement = judge(
    known,
    change,
    rules.map((r): Rule => ({ name: r.name, ...r.spec })),
  )
  if (judgement.kind === 'unknown-workload' || !known) {
    const knownIn = judgement.kind === 'unknown-workload' ? judgement.knownIn : undefined
    const reason =
      knownIn === undefined
        ? `no workload named ${change.workload} is configured`
        : `${change.workload} is known in ${knownIn}, not in ${change.environment}`
    return { verdict: 'unknown-workload', reason, rotations: [] }
  }
  await tx.query('update workload set known = $2 where name = $1', [
    known.name,
    JSON.stringify(apply(known, change)),
  ])
  if (judgement.kind === 'no-change')
    return {
      verdict: 'no-change',
      reason: `nothing in it differs from what is known of ${known.name}`,
      rotations: [],
    }
  const what = judgement.differences.map((d) => `${d.field} ${d.was ?? 'unknown'} → ${d.is}`).join(', ')
  if (judgement.kind === 'no-rule')
    return {
      verdict: 'no-rule',
      reason: `${known.name} changed (${what}) and no rule names that`,
      rotations: [],
    }
  const rotations: Verdict['rotations'] = []
  const matches = await inUse(tx, judgement.matches)
  if (matches.length === 0)
    return {
      verdict: 'no-rule',
      reason: `${known.name} changed (${what}), and what the rules name was offboarded, or waits to be adopted`,
      rotations: [],
    }
  for (const { credential, rule } of matches) {
    const { source, id, emitter } = event
    const reason = `${known.name}: ${what}`
    const started = await startIn(tx, credential, {
      cause: { kind: 'change', actor: emitter, rule, event: `${source} ${id}`, reason },
      mode: 'rotate',
      goal: 'replace',
      compromised: [],
    })
    rotations.push({ credential, rule, ...started })
  }
  const how = (word: 'opened' | 'joined') => rotations.some((r) => r.how === word)
  const verdict = how('opened') ? 'rotation-opened' : how('joined') ? 'joined' : 'queued'
  return { verdict, reason: `${known.name} changed: ${what}`, rotations }
}

/** A report that a value leaked: an emergency, as its credential says. What is dead already changes nothing. */
async function judgeReport(tx: Queryable, event: Received, report: Leak): Promise<Judged> {
  const leak = await identified(tx, report)
  // A human who reads of it must find the value: that nobody knows it does not make it harmless.
  const unknown = (why: string): Judged => ({
    verdict: 'unknown-credential',
    reason: `${why}; it was seen here: ${report.where}`,
    rotations: [],
  })
  if (!leak) return unknown(`no value of that fingerprint is known; it was reported as ${report.credential}`)
  const now = await clock(tx)
  const { rows } = await tx.query(
    `select spec, current_generation, last_generation, moved_at, retired_at, open_rotation
     from credential where name = $1 for update`,
    [leak.credential],
  )
  const judgement = judgeLeak(knownCredential(rows[0]), { ...leak, at: Math.min(leak.at ?? now, now) })
  if (judgement.kind === 'unknown-credential') return unknown(judgement.reason)
  if (judgement.kind !== 'leaked') return { verdict: judgement.kind, reason: judgement.reason, rotations: [] }
  const { credential, where } = leak
  const reason = `${credential} leaked: ${where}`
  const cause = { kind: 'leak', actor: event.emitter, event: `${event.source} ${event.id}`, reason } as const
  const mode = CredentialSpec.parse(rows[0].spec).onLeak
  try {
    const { compromised } = judgement
    const started = await startIn(tx, credential, { cause, mode, goal: 'replace', compromised })
    const verdict = started.how === 'opened' ? 'rotation-opened' : started.how
    return { verdict, reason, rotations: [{ credential, ...started }] }
  } catch (error) {
    // Nothing was written: it is refused before anything is.
    if (!RekeyError.is(error) || error.code !== 'not_allowed_now') throw error
    return { verdict: 'refused', reason: `${reason}; nothing was done: ${error.message}`, rotations: [] }
  }
}

/**
 * A fingerprint says exactly which value it is. Where none has it, the name counts only as long as a value of that
 * credential has no fingerprint yet: otherwise it is none of them, and a rotation would end another value than the leaked one.
 */
async function identified(tx: Queryable, leak: Leak): Promise<Leak | undefined> {
  if (leak.fingerprint === undefined) return leak
  const owner = await ownerOf(tx, leak.fingerprint)
  if (owner) return { ...leak, ...owner }
  return (await hasUnfingerprinted(tx, leak.credential)) ? leak : undefined
}

function knownCredential(row: CredentialRow | undefined): KnownCredential | undefined {
  return (
    row && {
      current: row.current_generation,
      last: row.last_generation,
      movedAt: row.moved_at?.getTime() ?? null,
      isRetired: row.retired_at !== null,
      isRotating: row.open_rotation !== null,
    }
  )
}

/** What was offboarded is rotated no more, and what waits to be adopted not yet. In the order of their names, so that two events cannot wait for each other. */
async function inUse(tx: Queryable, matches: Match[]): Promise<Match[]> {
  const names = matches.map((m) => m.credential)
  const { rows } = await tx.query(
    `select name, spec, current_generation, open_rotation from credential
     where name = any($1) and retired_at is null order by name for update`,
    [names],
  )
  const found: Match[] = []
  for (const row of rows) {
    const match = matches.find((m) => m.credential === row.name)
    if (match && (row.open_rotation !== null || !(await awaitsAdoption(tx, row)))) found.push(match)
  }
  return found
}

/** Records that a readable id came with content that is no event we know. */
export async function recordRejected(db: Database, event: Received & { reason: string }): Promise<Verdict> {
  return once(db, event, async () => ({ verdict: 'rejected', reason: event.reason, rotations: [] }))
}

type Judged = Pick<Verdict, 'verdict' | 'reason' | 'rotations'>

async function once(
  db: Database,
  event: Received,
  work: (tx: Queryable) => Promise<Judged>,
): Promise<Verdict> {
  const known = await duplicate(db.pool, event)
  if (known) return known
  return db.transaction(async (tx) => {
    const { source, id, digest, emitter } = event
    // Two deliveries of one event at once: the second waits here, then finds the first one's verdict.
    await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`inbox ${source} ${id}`])
    const raced = (await duplicate(tx, event)) ?? (await conflict(tx, event))
    if (raced) return raced
    const judged = await work(tx)
    const verdict: Verdict = { source, id, ...judged, at: new Date(await clock(tx)).toISOString() }
    await tx.query('insert into inbox (source, id, digest, emitter, verdict) values ($1, $2, $3, $4, $5)', [
      source,
      id,
      digest,
      emitter,
      JSON.stringify(verdict),
    ])
    await append(tx, 'intake', emitter, [{ type: 'EventJudged', ...verdict }])
    return verdict
  })
}

/** The answer to an event that has its verdict, where the content is the same. */
async function duplicate(tx: Queryable, event: Received): Promise<Verdict | undefined> {
  const { rows } = await tx.query('select verdict from inbox where source = $1 and id = $2 and digest = $3', [
    event.source,
    event.id,
    event.digest,
  ])
  const first: Verdict | undefined = rows[0]?.verdict
  return first && { ...first, verdict: 'duplicate', reason: `judged before: ${first.verdict}` }
}

/** The same id with other content: nothing is done, and it is journalled as what it may be, a forgery. */
async function conflict(tx: Queryable, event: Received): Promise<Verdict | undefined> {
  const { rows } = await tx.query('select digest, verdict from inbox where source = $1 and id = $2', [
    event.source,
    event.id,
  ])
  if (!rows[0]) return undefined
  const { source, id, digest, emitter } = event
  await append(tx, 'intake', emitter, [
    { type: 'EventConflicted', source, id, digest, first: rows[0].digest },
  ])
  const reason = 'the same id was judged before with other content; nothing was done'
  return { ...rows[0].verdict, verdict: 'conflict', reason, rotations: [] }
}

export async function readVerdict(
  db: Database,
  source: string | undefined,
  id: string,
): Promise<(Verdict & { digest: string }) | undefined> {
  const { rows } = await db.pool.query(
    `select verdict, digest from inbox where id = $1 ${source === undefined ? '' : 'and source = $2'}
     order by received_at desc limit 1`,
    source === undefined ? [id] : [id, source],
  )
  return rows[0] && { ...rows[0].verdict, digest: rows[0].digest }
}
