import { type ClientSpec, clientNamer, type Severity } from '@rekey/contracts'
import { GROWN, type Report, SAID } from './clients.ts'
import type { Database, Queryable } from './database.ts'
import { append } from './journal.ts'
import { type Knocker, type Rest, type Telling, toTell } from './knock-entries.ts'

/** Somebody presented a key that is proved dead. It was refused; what matters is that somebody has it. */
export type DeadKeyUsed = {
  type: 'DeadKeyUsed'
  credential: string
  generation: number
  keyId: string
  /** In which it died; null: in none that is known. */
  rotation: string | null
  /** As the nodes see it; null: several, which were not written down one by one. */
  address: string | null
  /** The declared client at that address; null: none is. */
  client: string | null
  /** Whether clients are declared at all. */
  declared: boolean
  /** How many requests this entry stands for. */
  requests: number
  /** How many have come from there since its death, this entry's included. */
  total: number
  /** From how many addresses. */
  addresses: number
  /** There are more addresses than are listed, and not counted here. */
  unlisted: boolean
  /** Where, the first of them by name. */
  nodes: string[]
  /** ISO 8601. */
  firstAt: string
  lastAt: string
}

/** Addresses that are kept of one dead generation; later ones are told of, and not listed. */
const ADDRESSES_MAX = 100
const NODES_MAX = 20

type Said = {
  credential: string
  generation: number
  address: string
  node: string
  requests: number
  at: number
}

/** What nodes noticed of requests with dead keys. */
export async function recordKnocks(db: Database, reports: Report[]): Promise<void> {
  const graveyards = reports.flatMap(({ node, credential, session, graveyard }) =>
    graveyard ? [{ node, credential, session, ...graveyard }] : [],
  )
  if (graveyards.length === 0) return
  await recordWatched(db, JSON.stringify(graveyards))
  if (graveyards.every(({ knocks }) => knocks.length === 0)) return
  await db.transaction(async (tx) => {
    // One at a time: they are rare, and what was told is judged by what all nodes say.
    await tx.query("select pg_advisory_xact_lock(hashtext('rekey-knocks'))")
    const { rows } = await tx.query(
      `select credential, generation, address, node, requests, (extract(epoch from at) * 1000)::bigint as at
       from (${SAID('knocks')}) said where validity = 'destroyed' order by credential, generation, address, node`,
      [JSON.stringify(graveyards)],
    )
    const said: Said[] = rows
    const news = new Map<string, DeadKeyUsed[]>()
    for (const credential of new Set(said.map((s) => s.credential))) {
      const entries = await recordOf(
        tx,
        credential,
        said.filter((s) => s.credential === credential),
      )
      news.set(credential, entries)
    }
    // Last: it takes the journal's counter.
    for (const [credential, entries] of news) await append(tx, `credential/${credential}`, 'fleet', entries)
  })
}

/** What somebody has locked is left out: it is said again. */
async function recordWatched(db: Database, graveyards: string): Promise<void> {
  await db.pool.query(
    `with r as (
       select p.node, p.credential, array(select jsonb_array_elements_text(r.watched)::integer) as watched
       from jsonb_to_recordset($1::jsonb) as r (node text, credential text, session bigint, watched jsonb)
       join node n on n.name = r.node and n.session = r.session
       join placement p on p.node = r.node and p.credential = r.credential
       for update of p skip locked
     )
     update placement p set watched = r.watched from r
     where p.node = r.node and p.credential = r.credential and p.watched is distinct from r.watched`,
    [graveyards],
  )
}

/** Returns what is to be journalled. */
async function recordOf(tx: Queryable, credential: string, said: Said[]): Promise<DeadKeyUsed[]> {
  const { rows: known } = await tx.query(
    'select distinct generation, address from knock where credential = $1 and generation = any($2)',
    [credential, [...new Set(said.map((s) => s.generation))]],
  )
  const listed = new Map<number, Set<string>>()
  for (const { generation, address } of known) addressesOf(listed, generation).add(address)
  const unlisted = new Map<number, number>()
  const kept = said.filter(({ generation, address, at }) => {
    const addresses = addressesOf(listed, generation)
    if (addresses.size < ADDRESSES_MAX) addresses.add(address)
    if (addresses.has(address)) return true
    unlisted.set(generation, Math.max(at, unlisted.get(generation) ?? 0))
    return false
  })
  await tx.query(
    `insert into knock (credential, generation, address, node, requests, reported, first_at, last_at)
     select $1, k.generation, k.address, k.node, k.requests, k.requests,
            to_timestamp(k.at / 1000.0), to_timestamp(k.at / 1000.0)
     from jsonb_to_recordset($2::jsonb) as k (generation integer, address text, node text, requests bigint, at bigint)
     on conflict (credential, generation, address, node) do update set
       requests = ${GROWN('knock')}, reported = excluded.reported, last_at = greatest(knock.last_at, excluded.last_at)`,
    [credential, JSON.stringify(kept)],
  )
  const { rows: clock } = await tx.query(
    'select (extract(epoch from clock_timestamp()) * 1000)::bigint as now',
    [],
  )
  const knockers = await knockersOf(tx, credential)
  const rests = await restsOf(tx, credential, listed, unlisted)
  return tell(tx, credential, toTell({ knockers, rests }, clock[0].now))
}

function addressesOf(of: Map<number, Set<string>>, generation: number): Set<string> {
  const known = of.get(generation) ?? new Set()
  of.set(generation, known)
  return known
}

async function knockersOf(tx: Queryable, credential: string): Promise<Knocker[]> {
  const { rows } = await tx.query(
    `select k.generation, k.address, sum(k.requests)::bigint as requests, array_agg(k.node order by k.node) as nodes,
            (extract(epoch from min(k.first_at)) * 1000)::bigint as "firstAt",
            (extract(epoch from max(k.last_at)) * 1000)::bigint as "lastAt",
            max(t.requests) as told, (extract(epoch from max(t.at)) * 1000)::bigint as "toldAt"
     from knock k left join knock_told t using (credential, generation, address)
     where k.credential = $1 group by k.generation, k.address order by k.generation, k.address`,
    [credential],
  )
  return rows.map(({ told, toldAt, ...row }) => ({
    ...row,
    told: told === null ? null : { requests: told, at: toldAt },
  }))
}

async function restsOf(
  tx: Queryable,
  credential: string,
  listed: Map<number, unknown>,
  unlisted: Map<number, number>,
): Promise<Rest[]> {
  const { rows } = await tx.query(
    `select generation, (extract(epoch from at) * 1000)::bigint as at from knock_told
     where credential = $1 and address = ''`,
    [credential],
  )
  const told = new Map(rows.map((row): [number, number] => [row.generation, row.at]))
  return [...listed.keys()].map((generation) => {
    const at = told.get(generation)
    return {
      generation,
      unlistedAt: unlisted.get(generation) ?? null,
      told: at === undefined ? null : { at },
    }
  })
}

async function tell(tx: Queryable, credential: string, tellings: Telling[]): Promise<DeadKeyUsed[]> {
  if (tellings.length === 0) return []
  const { rows } = await tx.query("select spec -> 'clients' as clients from credential where name = $1", [
    credential,
  ])
  const clients: ClientSpec[] | null = rows[0].clients
  const entries: DeadKeyUsed[] = []
  for (const telling of tellings) {
    const { generation, knockers, isSum } = telling
    const marks = knockers.map(({ address, requests }) => ({ address, requests }))
    await tx.query(
      `insert into knock_told (credential, generation, address, requests, at)
       select $1, $2, t.address, t.requests, clock_timestamp()
       from jsonb_to_recordset($3::jsonb) as t (address text, requests bigint)
       on conflict (credential, generation, address) do update set requests = excluded.requests, at = excluded.at`,
      [credential, generation, JSON.stringify(isSum ? [...marks, { address: '', requests: 0 }] : marks)],
    )
    entries.push(entryOf(telling, { credential, clients, ...(await graveOf(tx, credential, generation)) }))
  }
  return entries
}

async function graveOf(tx: Queryable, credential: string, generation: number) {
  const { rows } = await tx.query(
    `select g.key_id as "keyId", (
       select r.id from rotation r join journal j on j.stream = 'rotation/' || r.id
       where r.credential = $1 and j.type = 'GenerationDead' and (j.data ->> 'generation')::int = $2
       order by j.position desc limit 1) as rotation
     from generation g where g.credential = $1 and g.generation = $2`,
    [credential, generation],
  )
  return rows[0] as { keyId: string; rotation: string | null }
}

function entryOf(
  { generation, knockers, isSum, unlistedAt }: Telling,
  grave: { credential: string; clients: ClientSpec[] | null; keyId: string; rotation: string | null },
): DeadKeyUsed {
  const { credential, clients, keyId, rotation } = grave
  const [one] = isSum ? [] : knockers
  const total = knockers.reduce((sum, k) => sum + k.requests, 0)
  const told = knockers.reduce((sum, k) => sum + (k.told?.requests ?? 0), 0)
  const times = [
    ...knockers.flatMap((k) => [k.firstAt, k.lastAt]),
    ...(unlistedAt === null ? [] : [unlistedAt]),
  ]
  const iso = (ms: number) => new Date(ms).toISOString()
  return {
    type: 'DeadKeyUsed',
    credential,
    generation,
    keyId,
    rotation,
    address: one?.address ?? null,
    client: one ? (clientNamer(clients ?? [])(one.address) ?? null) : null,
    declared: (clients ?? []).length > 0,
    requests: total - told,
    total,
    addresses: knockers.length,
    unlisted: unlistedAt !== null,
    nodes: [...new Set(knockers.flatMap((k) => k.nodes))].sort().slice(0, NODES_MAX),
    firstAt: iso(Math.min(...times)),
    lastAt: iso(Math.max(...times)),
  }
}

/** The owner's word on knocks; absent: as a warning. */
export type KnocksTold = Severity | 'off'

export type KnocksView = {
  requests: number
  firstAt: string | null
  lastAt: string | null
  /** The latest first. */
  from: { address: string; client: string | null; nodes: string[]; requests: number; lastAt: string }[]
  /** Nodes that would notice one now, and those that would not: nothing is known of requests there. */
  watchedBy: string[]
  notWatchedBy: string[]
}

/** Requests with a dead generation since its death, as far as its nodes can notice them. */
export async function knocksOf(
  db: Database,
  { credential, generation, clients }: { credential: string; generation: number; clients: ClientSpec[] },
): Promise<KnocksView> {
  const [{ rows }, { rows: nodes }] = await Promise.all([
    db.pool.query(
      `select address, array_agg(node order by node) as nodes, sum(requests)::bigint as requests,
              min(first_at) as first_at, max(last_at) as last_at
       from knock where credential = $1 and generation = $2 group by address order by max(last_at) desc, address`,
      [credential, generation],
    ),
    db.pool.query(
      `select p.node, coalesce($2 = any(p.watched), false) as watched from placement p join node n on n.name = p.node
       where p.credential = $1 and n.state <> 'gone' order by p.node`,
      [credential, generation],
    ),
  ])
  const nameOf = clientNamer(clients)
  const times = rows.map((row) => row.first_at.toISOString()).sort()
  return {
    requests: rows.reduce((sum, row) => sum + row.requests, 0),
    firstAt: times[0] ?? null,
    lastAt: rows[0]?.last_at.toISOString() ?? null,
    from: rows.map(({ address, nodes, requests, last_at }) => ({
      address,
      client: nameOf(address) ?? null,
      nodes,
      requests,
      lastAt: last_at.toISOString(),
    })),
    watchedBy: nodes.filter((n) => n.watched).map((n) => n.node),
    notWatchedBy: nodes.filter((n) => !n.watched).map((n) => n.node),
  }
}
