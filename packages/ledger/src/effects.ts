import { type CredentialSpec, RekeyError } from '@rekey/contracts'
import { type Effect, type Rotation, upcastEffect } from '@rekey/core'
import type { Database, Queryable } from './database.ts'
import { SETTLED, withSettled } from './drift/replaced.ts'
import { isOurs, newerRelease } from './format.ts'
import { type Lane, lanesOf, PENDING, pendingOf } from './lanes.ts'

/** Written in the transaction whose events ask for them. Timers and probes may be armed again under their key. */
export async function writeEffects(tx: Queryable, rotation: Rotation, effects: Effect[]): Promise<void> {
  if (effects.length === 0) return
  // The first of a key counts: what is pending is not armed again.
  const wanted = new Map(effects.toReversed().map((spec) => [spec.key, { spec, target: targetOf(spec) }]))
  await tx.query(
    `insert into effect (key, rotation, kind, store, epoch, spec, due)
     select spec ->> 'key', $1, spec ->> 'kind', target, $2, spec,
            to_timestamp((spec ->> 'due')::double precision / 1000)
     from jsonb_to_recordset($3::jsonb) as wanted (spec jsonb, target text)
     on conflict (key) do update
       set state = 'pending', spec = excluded.spec, due = excluded.due, epoch = excluded.epoch, lease_until = null, relayed_at = null, failures = 0
       where effect.kind in ('timer', 'probe') and effect.state <> 'pending'`,
    [rotation.id, rotation.epoch, JSON.stringify([...wanted.values()])],
  )
}

/** Where an effect acts: effects of different plans on one target wait for each other's late acts. */
function targetOf(effect: Effect): string | null {
  if ('store' in effect) return effect.store
  const isAuthority =
    effect.kind === 'install' ||
    effect.kind === 'suspend' ||
    effect.kind === 'reinstate' ||
    effect.kind === 'revoke'
  return isAuthority ? '@authority' : null
}

export type Leased = {
  effect: Effect
  attempt: number
  rotation: Pick<Rotation, 'id' | 'credential'>
  /** Of an emergency, as of now. */
  urgent?: boolean
  spec: CredentialSpec
  /** The version that each store shows by our last word: what a promotion expects to replace. */
  shown: Record<string, string>
  keyIds: Record<number, string>
  /** The generation of which no value is made, because the stores hold it. */
  adopts?: number
}

/**
 * Until when a late act may come: a cancelled effect on the same target, or an older plan's, may act until its lease
 * ends, and `e` waits for that. Null: nothing may, or it is too urgent to wait, and comes again after that.
 */
const LATE_UNTIL = `(
  select max(other.lease_until) from effect other
  where other.rotation = e.rotation and other.store = e.store and other.key <> e.key
    and (other.epoch < e.epoch and other.state <> 'done' or other.state = 'cancelled')
    and e.spec ->> 'urgent' is distinct from 'true')`

/**
 * Asked of the statement's own start, which lies before all that the statement sees: a lease that was renewed in time
 * is seen as renewed, even where the statement had to wait for a lock.
 */
const NOTHING_LATE = `coalesce(${LATE_UNTIL} <= statement_timestamp(), true)`

/**
 * Takes an effect for `leaseMs` on the database's clock. Undefined: done, cancelled, not due, leased by another, or to
 * wait for a late act. Who acts for longer than that renews the lease. Throws `newer_release` for what a newer release
 * works on.
 */
export async function lease(
  db: Database,
  key: string,
  by: string,
  leaseMs: number,
): Promise<Leased | undefined> {
  const { rows } = await db.pool.query(
    `with taken as (
       update effect e set attempt = attempt + 1, lease_by = $2,
              lease_until = clock_timestamp() + $3 * interval '1 millisecond'
       where key = $1 and state = 'pending' and due <= clock_timestamp()
         and (lease_until is null or lease_until <= clock_timestamp())
         and ${NOTHING_LATE} and exists (select from rotation r where r.id = e.rotation and ${isOurs('$4')})
       returning spec, attempt, rotation
     )
     select taken.spec as effect, taken.attempt, r.id, r.credential, r.spec, r.emergency, c.shown, ${SETTLED} as settled,
            (r.state -> 'plan' ->> 'adopts')::int as adopts,
            (select jsonb_object_agg(generation, key_id) from generation where credential = r.credential) as key_ids
     from taken join rotation r on r.id = taken.rotation join credential c on c.name = r.credential`,
    [key, by, leaseMs, db.format],
  )
  if (!rows[0]) {
    await refuseNewer(db, key)
    return undefined
  }
  const { effect, attempt, id, credential, spec, emergency, adopts, shown, settled, key_ids } = rows[0]
  return {
    effect: upcastEffect(effect),
    attempt,
    rotation: { id, credential },
    urgent: emergency,
    spec,
    shown: withSettled(shown, settled),
    keyIds: key_ids ?? {},
    ...(adopts !== null && { adopts }),
  }
}

async function refuseNewer(db: Database, key: string): Promise<void> {
  const { rows } = await db.pool.query(
    `select r.id from effect e join rotation r on r.id = e.rotation
     where e.key = $1 and e.state = 'pending' and not ${isOurs('$2')}`,
    [key, db.format],
  )
  if (rows[0]) throw newerRelease(rows[0].id)
}

/** What an effect found before its first act; undefined: nothing so far. */
export async function noted(db: Database, key: string): Promise<string[] | undefined> {
  const { rows } = await db.pool.query('select noted from effect where key = $1', [key])
  return rows[0]?.noted ?? undefined
}

/**
 * Keeps what an effect found before its first act, for its later attempts; the first word counts. Throws
 * `not_allowed_now` where the attempt is over: then nothing may be done by what was found.
 */
export async function note(
  db: Database,
  { effect, attempt }: Pick<Leased, 'effect' | 'attempt'>,
  found: string[],
): Promise<string[]> {
  const { rows } = await db.pool.query(
    `update effect set noted = coalesce(noted, $3)
     where key = $1 and attempt = $2 and state = 'pending' and lease_until > clock_timestamp() returning noted`,
    [effect.key, attempt, JSON.stringify(found)],
  )
  if (!rows[0]) throw new RekeyError('not_allowed_now', `attempt ${attempt} of ${effect.key} is over`)
  return rows[0].noted
}

/** One attempt of an effect that a worker has under way. */
export type Held = { key: string; attempt: number }

/**
 * Renews the leases of all that a worker holds, in one statement; returns the keys of those that it still has. A lease
 * that ended stays ended, and that of an effect which is settled, cancelled or in its next attempt is not this
 * worker's. A row that somebody has locked is left for the next time: renewals wait for nobody, and block nobody.
 */
export async function renew(db: Database, held: Held[], leaseMs: number): Promise<string[]> {
  const { rows } = await db.pool.query(
    `update effect set lease_until = greatest(lease_until, clock_timestamp() + $3 * interval '1 millisecond')
     where key in (
       select e.key from unnest($1::text[], $2::int[]) as held (key, attempt)
       join effect e on e.key = held.key and e.attempt = held.attempt
       where e.state = 'pending' and e.lease_until > clock_timestamp()
       for update of e skip locked)
     returning key`,
    [held.map((h) => h.key), held.map((h) => h.attempt), leaseMs],
  )
  return rows.map((row) => row.key)
}

/** Deliveries are `fleet`'s, everything else that is done outside is the rotator's. */
export type Worker = 'rotator' | 'fleet'

/** What is due next is looked for no further ahead than this, so that an index on `due` answers. */
const AHEAD_MS = 1_000

export type Look = {
  worker: Worker
  graceMs: number
  limit: number
  /** Absent: both, emergencies first. */
  lane?: Lane
}

/**
 * Effects of a worker's kinds that have been due, and without a lease, for at least `graceMs`: their wake-up is late or
 * lost. Those that were due first come first, `limit` at the most. `nextMs`: when there may be others; undefined: not
 * soon, or there are some beyond the limit.
 */
export async function unattended(
  db: Database,
  { lane, limit, ...look }: Look,
): Promise<{ keys: string[]; nextMs: number | undefined }> {
  const keys: string[] = []
  const next: number[] = []
  for (const one of lanesOf(lane)) {
    keys.push(...(await unattendedOf(db, one, { ...look, limit: limit - keys.length })))
    // There may be thousands, and whoever has a full page comes back for the next one anyway.
    if (keys.length >= limit) return { keys, nextMs: undefined }
    next.push(...(await nextUnattendedMs(db, one, look)))
  }
  return { keys, nextMs: next.length > 0 ? Math.min(...next) : undefined }
}

async function unattendedOf(
  db: Database,
  lane: Lane,
  { worker, graceMs, limit }: Omit<Look, 'lane'>,
): Promise<string[]> {
  const { rows } = await db.pool.query(
    `select key from effect e
     where ${PENDING[lane]} and ${OF_WORKER[worker]} and due <= ${WAITED} and (lease_until is null or lease_until <= ${WAITED})
       and coalesce(${LATE_UNTIL} <= ${WAITED}, true)
       and exists (select from rotation r where r.id = e.rotation and ${isOurs('$3')})
     order by due, key limit $2`,
    [graceMs, limit, db.format],
  )
  return rows.map((row) => row.key)
}

async function nextUnattendedMs(
  db: Database,
  lane: Lane,
  { worker, graceMs }: Omit<Look, 'lane' | 'limit'>,
): Promise<number[]> {
  const { rows } = await db.pool.query(
    `select (min(extract(epoch from greatest(due, lease_until, ${LATE_UNTIL}) - ${WAITED})) * 1000)::int as ms
     from effect e
     where ${PENDING[lane]} and ${OF_WORKER[worker]} and due <= statement_timestamp() + $2 * interval '1 millisecond'
       and greatest(due, lease_until, ${LATE_UNTIL}) > ${WAITED}
       and exists (select from rotation r where r.id = e.rotation and ${isOurs('$3')})`,
    [graceMs, AHEAD_MS, db.format],
  )
  return rows.flatMap((row) => row.ms ?? [])
}

const OF_WORKER: Readonly<Record<Worker, string>> = {
  rotator: "kind <> 'timer' and kind <> 'deliver'",
  fleet: "kind = 'deliver'",
}
/** $1: the grace, in ms. What ended by then has waited for long enough. */
const WAITED = "(statement_timestamp() - $1 * interval '1 millisecond')"

/** When an unanswered wake-up is sent again ($1: the first wait): later each time, while nobody takes it up. */
const RESEND_AT =
  "(relayed_at + $1 * interval '1 millisecond' * 2 ^ least(greatest(relays - attempt - 1, 0), 4))"

/** An effect that a worker should be woken for. */
export type Waiting = {
  key: string
  /** Counts its wake-ups. A job that a killed worker had taken blocks its own id, so each wake-up has a new one. */
  relays: number
  kind: Effect['kind']
  rotation: string
  nodes: string[]
}

/**
 * Due effects that nobody works on: new ones, those whose lease ended (also where a job still exists), and those
 * whose wake-up was sent `resendMs` ago and may be lost. Marks them as relayed. Emergencies come first where no lane is
 * asked for, each lane in the order of its due times.
 */
export async function takeWaiting(
  db: Database,
  resendMs: number,
  lane?: Lane,
  limit = 100,
): Promise<Waiting[]> {
  const taken: Waiting[] = []
  for (const one of lanesOf(lane))
    if (taken.length < limit) taken.push(...(await takeWaitingOf(db, one, resendMs, limit - taken.length)))
  return taken
}

async function takeWaitingOf(db: Database, lane: Lane, resendMs: number, limit: number): Promise<Waiting[]> {
  const { rows } = await db.pool.query(
    `with taken as (
       update effect set relayed_at = clock_timestamp(), relays = relays + 1 where key in (
         select key from effect e
         where ${PENDING[lane]} and kind <> 'timer' and due <= statement_timestamp()
           and (lease_until is null or lease_until <= clock_timestamp()) and ${NOTHING_LATE}
           and (relayed_at is null or ${RESEND_AT} <= clock_timestamp()
                or (lease_until is not null and relayed_at < lease_until))
         order by due, key limit $2 for update skip locked)
       returning key, relays, kind, rotation, coalesce(spec -> 'nodes', '[]') as nodes, due)
     select key, relays, kind, rotation, nodes from taken order by due, key`,
    [resendMs, limit],
  )
  return rows
}

/** Milliseconds until the next timer is due, of one lane or of both; undefined: there is none. */
export async function nextTimerMs(db: Database, lane?: Lane): Promise<number | undefined> {
  const { rows } = await db.pool.query(
    `select (extract(epoch from min(due) - clock_timestamp()) * 1000)::bigint as ms
     from effect e where ${pendingOf(lane)} and kind = 'timer'`,
    [],
  )
  return rows[0]?.ms ?? undefined
}

/**
 * Milliseconds until a worker should be woken for something, of one lane or of both; undefined: there is nothing within
 * ten minutes. Whether a late act may come is asked only of what would be up now: with thousands that wait for nothing but
 * an answer to their wake-ups, that question costs more than all others.
 */
export async function nextWorkMs(db: Database, resendMs: number, lane?: Lane): Promise<number | undefined> {
  const { rows } = await db.pool.query(
    `select (extract(epoch from min(case when up > clock_timestamp() then up else greatest(up, ${LATE_UNTIL}) end)
         - clock_timestamp()) * 1000)::bigint as ms
     from effect e
     cross join lateral (select greatest(due, case
         when lease_until is not null and (relayed_at is null or relayed_at < lease_until) then lease_until
         else ${RESEND_AT} end) as up) as at
     where ${pendingOf(lane)} and kind <> 'timer' and due <= statement_timestamp() + interval '10 minutes'`,
    [resendMs],
  )
  return rows[0]?.ms ?? undefined
}

/** A rotation was raised: the wake-ups of what it waits for may stand far behind in the other lane's queue. */
export async function wakeAgain(tx: Queryable, rotation: string): Promise<void> {
  await tx.query(
    "update effect set relayed_at = null where rotation = $1 and state = 'pending' and kind <> 'timer' and relayed_at is not null",
    [rotation],
  )
}
