import { type ClientSpec, clientNamer, type UsageMessage } from '@rekey/contracts'
import type { Database } from './database.ts'

export type Report = UsageMessage & { node: string }

/** Of one generation on one node, those that used it last. */
const ADDRESSES_MAX = 50
/** Of so many generations, the newest. */
const GENERATIONS_MAX = 3

/**
 * Counters of software that may forget them: what is reported is compared with what was reported before, so that a repeat
 * adds nothing, and one that began anew adds all it has. Never too many, and too few only where a restart comes between.
 */
export const GROWN = (table: string) =>
  `${table}.requests + excluded.reported - case when excluded.reported >= ${table}.reported then ${table}.reported else 0 end`

/** Sessions are numbered: what an older one says comes too late. */
export const SAID = (field: string) => `
  select distinct on (r.credential, u.generation, u.address, r.node) r.node, r.credential, u.generation, u.address, u.requests,
         g.validity, clock_timestamp() - u."lastUseAgeMs" * interval '1 millisecond' as at
  from jsonb_to_recordset($1::jsonb) as r (node text, credential text, session bigint, ${field} jsonb)
  join node n on n.name = r.node and n.session = r.session and n.state <> 'gone'
  join placement p on p.node = r.node and p.credential = r.credential
  cross join lateral jsonb_to_recordset(r.${field})
    as u (generation integer, address text, requests bigint, "lastUseAgeMs" double precision)
  join generation g on g.credential = r.credential and g.generation = u.generation
  where u.requests > 0
  order by r.credential, u.generation, u.address, r.node, u."lastUseAgeMs"`

/** Of generations that are not dead: what dead ones are used for is a knock. */
export async function recordClients(db: Database, reports: Report[]): Promise<void> {
  const said = reports.flatMap(({ node, credential, session, clients }) =>
    clients ? [{ node, credential, session, clients }] : [],
  )
  if (said.length === 0) return
  await db.pool.query(
    `insert into client_use (node, credential, generation, address, requests, reported, first_used_at, last_used_at)
     select node, credential, generation, address, requests, requests, at, at from (${SAID('clients')}) said
     where validity <> 'destroyed'
     on conflict (node, credential, generation, address) do update set
       requests = ${GROWN('client_use')}, reported = excluded.reported,
       last_used_at = greatest(client_use.last_used_at, excluded.last_used_at)`,
    [JSON.stringify(said)],
  )
  await db.pool.query(
    `delete from client_use d using (
       select u.node, u.credential, u.generation, u.address, c.last_generation,
              row_number() over (partition by u.node, u.credential, u.generation order by u.last_used_at desc, u.address) as place
       from client_use u join credential c on c.name = u.credential
       where (u.node, u.credential) in (select node, credential from jsonb_to_recordset($1::jsonb) as r (node text, credential text))
     ) ranked
     where (place > $2 or ranked.generation <= last_generation - $3)
       and (d.node, d.credential, d.generation, d.address) = (ranked.node, ranked.credential, ranked.generation, ranked.address)`,
    [
      JSON.stringify(said.map(({ node, credential }) => ({ node, credential }))),
      ADDRESSES_MAX,
      GENERATIONS_MAX,
    ],
  )
}

/** One address that used a live generation at one node. */
export type ClientUseView = {
  address: string
  /** The declared client, or the node itself; null: none that is declared. */
  client: string | null
  node: string
  requests: number
  firstUsedAt: string
  lastUsedAt: string
}

/** As many are shown: those that used it last, and of those that nobody declared as many again. */
const SHOWN_MAX = 50
const LOOKED_AT_MAX = 2_000

export async function clientsOf(
  db: Database,
  { credential, generation, clients }: { credential: string; generation: number; clients: ClientSpec[] },
): Promise<ClientUseView[]> {
  const { rows } = await db.pool.query(
    `select address, node, requests, first_used_at, last_used_at from client_use
     where credential = $1 and generation = $2 order by last_used_at desc, address, node limit ${LOOKED_AT_MAX}`,
    [credential, generation],
  )
  const nameOf = clientNamer(clients)
  const seen = rows.map(
    ({ address, node, requests, first_used_at, last_used_at }): ClientUseView => ({
      address,
      client: nameOf(address) ?? null,
      node,
      requests,
      firstUsedAt: first_used_at.toISOString(),
      lastUsedAt: last_used_at.toISOString(),
    }),
  )
  const strangers = new Set(seen.filter((use) => use.client === null).slice(0, SHOWN_MAX))
  return seen.filter((use, at) => at < SHOWN_MAX || strangers.has(use))
}
