import type { TargetSpec } from '@rekey/contracts'
import type { Mode, RotationEvent } from '@rekey/core'
import type { ApprovalEntry } from './approvals.ts'
import type { Database, Queryable } from './database.ts'
import type { DriftEntry } from './drift/entries.ts'
import { append } from './journal.ts'
import type { DeadKeyUsed, KnocksTold } from './knocks.ts'

/** A journal entry of a rotation or of a credential, with what is known of its subject. */
export type NoticedEntry = {
  position: number
  event: RotationEvent | DeadKeyUsed | ApprovalEntry | DriftEntry
  actor: string
  /** ISO 8601. */
  at: string
  /** Of a credential's entry: the one that it is about, else the stream. */
  rotation: string
  credential: string
  /** What it is now. */
  mode: Mode
  /** What the owner wants to hear of knocks. */
  knocks: KnocksTold
  workload: string
  environment: string
  owner: string
}

/** What an entry becomes; the ledger keeps it as it is, and looks at its severity alone. */
export type Noticed = { severity: TargetSpec['severity']; resolves: boolean }

const SEVERITIES: TargetSpec['severity'][] = ['info', 'warning', 'critical']

/** As many entries are looked at in one transaction. */
const PAGE = 500
/** Who took a notification and died is followed by another one after this. */
const CLAIM_MS = 30_000
/** From this failure on people can see that others are not told. */
const VISIBLE_FAILURES = 3
/** After so many, over about a day, nobody tries any more. */
const FAILURES_MAX = 30
const WAIT_MAX_MS = 3_600_000

/**
 * Turns journal entries into notifications, one for each target of the owner. Only `types` are looked at. Returns
 * whether there may be more; one process at a time does this.
 */
export async function raiseNotifications<N extends Noticed>(
  db: Database,
  types: readonly string[],
  noticeOf: (entry: NoticedEntry) => N | undefined,
): Promise<boolean> {
  return db.transaction(async (tx) => {
    const { rows } = await tx.query('select position from notified for update skip locked', [])
    if (!rows[0]) return false
    const from: number = rows[0].position
    const { rows: last } = await tx.query(
      'select position from journal where position > $1 order by position offset $2 limit 1',
      [from, PAGE],
    )
    const to: number = last[0]?.position ?? (await newest(tx, from))
    if (to === from) return false
    for (const { entry, targets } of await read(tx, { from, to, types })) {
      const notice = noticeOf(entry)
      if (notice) await write(tx, entry, notice, targets)
    }
    await tx.query('update notified set position = $1', [to])
    return last.length > 0
  })
}

async function newest(tx: Queryable, from: number): Promise<number> {
  const { rows } = await tx.query(
    'select coalesce(max(position), $1) as position from journal where position > $1',
    [from],
  )
  return rows[0].position
}

async function read(
  tx: Queryable,
  { from, to, types }: { from: number; to: number; types: readonly string[] },
): Promise<{ entry: NoticedEntry; targets: TargetSpec[] }[]> {
  const { rows } = await tx.query(
    `select j.position, j.type, j.data, j.actor, j.at, coalesce(r.id, j.data ->> 'rotation', j.stream) as rotation,
            coalesce(r.state ->> 'mode', 'rotate') as mode, coalesce(o.spec ->> 'knocks', 'warning') as knocks, c.name as credential, w.name as workload, w.spec ->> 'environment' as environment,
            o.name as owner, o.spec -> 'notify' as targets
     from journal j
     left join rotation r on j.stream like 'rotation/%' and r.id = substr(j.stream, length('rotation/') + 1)
     join credential c on c.name = coalesce(
       r.credential, case when j.stream like 'credential/%' then substr(j.stream, length('credential/') + 1) end)
     join workload w on w.name = c.workload
     join owner o on o.name = w.spec ->> 'owner'
     where j.position > $1 and j.position <= $2 and j.type = any($3)
     order by j.position`,
    [from, to, types],
  )
  return rows.map(({ targets, type, data, at, ...entry }) => ({
    entry: { ...entry, event: { type, ...data }, at: at.toISOString() },
    targets,
  }))
}

async function write(
  tx: Queryable,
  entry: NoticedEntry,
  notice: Noticed,
  targets: TargetSpec[],
): Promise<void> {
  const told = targets.filter(
    ({ severity }) => SEVERITIES.indexOf(notice.severity) >= SEVERITIES.indexOf(severity),
  )
  await tx.query(
    `insert into notification (position, owner, target, rotation, notice)
     select $1, $2, target, $3, $4 from unnest($5::text[]) as target on conflict do nothing`,
    [entry.position, entry.owner, entry.rotation, JSON.stringify(notice), told.map((target) => target.name)],
  )
}

/** One notification that is to be sent now. */
export type Claimed<N> = {
  position: number
  owner: string
  /** Undefined: the target was taken out of the configuration meanwhile. */
  target: TargetSpec | undefined
  targetName: string
  rotation: string
  /** Which attempt this is, from 1. */
  attempt: number
  notice: N
}

/** Takes due notifications, the oldest first. Who claims one has half a minute to record what became of it. */
export async function claimNotifications<N>(db: Database, limit: number): Promise<Claimed<N>[]> {
  const { rows } = await db.pool.query(
    `with claimed as (
       update notification set attempts = attempts + 1, due = now() + $2 * interval '1 millisecond'
       where (position, owner, target) in (
         select position, owner, target from notification where state = 'pending' and due <= now()
         order by due, position limit $1 for update skip locked)
       returning position, owner, target, rotation, attempts, notice)
     select claimed.*, o.spec -> 'notify' as targets from claimed left join owner o on o.name = claimed.owner
     order by claimed.position`,
    [limit, CLAIM_MS],
  )
  return rows.map(({ target, targets, attempts, ...row }) => ({
    ...row,
    attempt: attempts,
    targetName: target,
    target: (targets as TargetSpec[] | null)?.find(({ name }) => name === target),
  }))
}

/** It was taken by the target. */
export async function recordSent(
  db: Database,
  { position, owner, targetName }: Claimed<unknown>,
): Promise<void> {
  await db.pool.query(
    `update notification set state = 'sent', sent_at = now(), error = null
     where position = $1 and owner = $2 and target = $3 and state = 'pending'`,
    [position, owner, targetName],
  )
}

/**
 * It was not taken. It is tried again, later each time; from the third failure on the journal says so, and after the
 * last one, or where `isFinal`, nobody tries any more.
 */
export async function recordNotSent(
  db: Database,
  { position, owner, targetName, rotation, attempt }: Claimed<unknown>,
  failure: { error: string; isFinal: boolean; afterMs?: number },
  actor: string,
): Promise<void> {
  const gaveUp = failure.isFinal || attempt >= FAILURES_MAX
  const waitMs = Math.min(WAIT_MAX_MS, Math.max(failure.afterMs ?? 0, 500 * 2 ** attempt))
  await db.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `update notification set state = $4, error = $5, due = now() + $6 * interval '1 millisecond'
       where position = $1 and owner = $2 and target = $3 and state = 'pending' and attempts = $7`,
      [position, owner, targetName, gaveUp ? 'failed' : 'pending', failure.error, waitMs, attempt],
    )
    if (rowCount === 0 || (attempt !== VISIBLE_FAILURES && !gaveUp)) return
    const { error } = failure
    const entry = { type: 'NotificationFailed', owner, target: targetName, rotation, attempt, gaveUp, error }
    await append(tx, `owner/${owner}`, actor, [entry])
  })
}

/** How many ms until a notification is due; undefined: none waits. */
export async function nextNotificationMs(db: Database): Promise<number | undefined> {
  const { rows } = await db.pool.query(
    "select (extract(epoch from min(due) - now()) * 1000)::bigint as ms from notification where state = 'pending'",
    [],
  )
  return rows[0]?.ms ?? undefined
}

/** Who was told of a rotation, or will be. */
export type NotificationView = {
  owner: string
  target: string
  summary: string
  state: 'pending' | 'sent' | 'failed'
  attempts: number
  error: string | null
  /** ISO 8601. */
  at: string
}

export async function listNotifications(db: Database, rotation: string): Promise<NotificationView[]> {
  const { rows } = await db.pool.query(
    `select owner, target, notice ->> 'summary' as summary, state, attempts, error, notice ->> 'at' as at
     from notification where rotation = $1 order by position, owner, target`,
    [rotation],
  )
  return rows
}
