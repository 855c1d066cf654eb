import type { Queryable } from './database.ts'
import type { Lane } from './lanes.ts'

export type Entry = { type: string; [field: string]: unknown }

export type JournalEntry = {
  position: number
  stream: string
  seq: number
  type: string
  data: Record<string, unknown>
  actor: string
  /** ISO 8601. */
  at: string
}

/**
 * Channels of NOTIFY. Whoever hears one looks for itself: the payload says whether it is about an emergency, so that those
 * are heard at once, and nothing more. What an older release announces has none.
 */
export const EFFECTS_CHANNEL = 'rekey_effects'
export const JOURNAL_CHANNEL = 'rekey_journal'

/**
 * Takes the position counter. It serialises commits, so whoever waits for it waits for all that came before; an emergency
 * must not stand behind as many routine decisions as there are connections. So these take turns first: at most one of
 * them is on its way to the counter. An emergency takes no turn, and has a lock that the one on its way shares. Locks of
 * this kind are given in the order of asking, which a row's is not: the next routine decision comes after the emergency.
 * $1: how many positions.
 */
function take(tx: Queryable, lane: Lane): string {
  // Who has the counter must not wait for a lock: whoever has that may wait for the counter.
  const before = writing.has(tx) ? '' : `and (select ${BEFORE[lane]})`
  writing.add(tx)
  return `update counter set value = value + $1 where name = 'position' ${before} returning value - $1 as before`
}

/** The turn is to be had before the shared lock: who waits for a turn must not stand in an emergency's way. */
const BEFORE: Readonly<Record<Lane, string>> = {
  routine: `case when pg_advisory_xact_lock(hashtext('rekey-routine')) is not null
                 then pg_advisory_xact_lock_shared(hashtext('rekey-emergency')) is not null end`,
  emergency: "pg_advisory_xact_lock(hashtext('rekey-emergency')) is not null",
}

/** Transactions that have the counter. */
const writing = new WeakSet<Queryable>()

/**
 * Appends entries to one stream. Call it last in its transaction: it takes the position counter, so that positions have no
 * gap and a reader that saw position n has seen every one below it.
 */
export async function append(tx: Queryable, stream: string, actor: string, entries: Entry[]): Promise<void> {
  if (entries.length === 0) return
  const { rows } = await tx.query(take(tx, 'routine'), [entries.length])
  const before: number = rows[0].before
  await tx.query(
    `insert into journal (position, stream, seq, type, data, actor)
     select $1 + item.n, $2, coalesce((select max(seq) from journal where stream = $2), 0) + item.n,
            item.entry ->> 'type', item.entry - 'type', $3
     from jsonb_array_elements($4::jsonb) with ordinality as item (entry, n)`,
    [before, stream, actor, JSON.stringify(entries)],
  )
  await tx.query("select pg_notify('rekey_journal', '')")
}

/**
 * The same for the stream of a rotation, and tells workers to look for effects. In one statement, because everybody
 * else's commit waits from here on. It sees no entry that was committed while it waited for the counter: none comes to
 * this stream meanwhile, because who writes there has the lock of its credential.
 */
export async function appendLocked(
  tx: Queryable,
  stream: string,
  actor: string,
  entries: Entry[],
  lane: Lane,
): Promise<void> {
  if (entries.length === 0) {
    await tx.query("select pg_notify('rekey_effects', $1)", [lane])
    return
  }
  await tx.query(
    `with taken as (${take(tx, lane)}), added as (
       insert into journal (position, stream, seq, type, data, actor)
       select taken.before + item.n, $2, coalesce((select max(seq) from journal where stream = $2), 0) + item.n,
              item.entry ->> 'type', item.entry - 'type', $3
       from taken, jsonb_array_elements($4::jsonb) with ordinality as item (entry, n)
     )
     select pg_notify('rekey_journal', ''), pg_notify('rekey_effects', $5)`,
    [entries.length, stream, actor, JSON.stringify(entries), lane],
  )
}

export async function readJournal(
  tx: Queryable,
  filter: { stream?: string; after?: number; limit?: number },
): Promise<JournalEntry[]> {
  const { rows } = await tx.query(
    `select position, stream, seq, type, data, actor, at from journal
     where position > $1 ${filter.stream === undefined ? '' : 'and stream = $3'} order by position limit $2`,
    [filter.after ?? 0, filter.limit ?? 10_000, ...(filter.stream === undefined ? [] : [filter.stream])],
  )
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }))
}

export function rotationStream(id: string): string {
  return `rotation/${id}`
}
