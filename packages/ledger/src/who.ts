import { type CredentialSpec, definitionOf, type WorkloadSpec } from '@rekey/contracts'
import { type Mode, phaseOf, type RetirementStep, type Rotation } from '@rekey/core'
import { type ClientUseView, clientsOf } from './clients.ts'
import type { Database } from './database.ts'
import { type Forecast, Forecasts } from './forecast.ts'
import { isNewer, readState } from './format.ts'
import { type KnocksView, knocksOf } from './knocks.ts'

/** Whose a value is, where it lives, and what can be done about it. */
export type Owned = {
  by: 'fingerprint' | 'key-id'
  credential: string
  generation: number
  keyId: string
  workload: string
  purpose: string
  environment: string
  owner: string
  label: string | null
  validity: string
  /** Where it stands on its way out, in the rotation that is under way; null: it is not on it. */
  ending: RetirementStep | null
  /** It leaked, as somebody said before. */
  compromised: boolean
  /** Stores whose readers get it now. */
  stores: string[]
  nodes: NodeUse[]
  /** The last use that a node reports now; null: none does, which says nothing of other times and other nodes. */
  lastUse: { at: string; node: string } | null
  /**
   * By whom it is used, or was before it died, as far as nodes can tell: at each address the latest, which may be a
   * minute behind `lastUse`. `declared`: the clients of the credential's document; none: nobody is unknown.
   */
  clients: { declared: string[]; seen: ClientUseView[] }
  /** What it opens, as the configuration says. */
  reaches: { name: string; url: string }[]
  rotation: { id: string; phase: string; mode: Mode } | null
  /** Null: it is not dead. */
  dead: { since: string; refusedBy: string[]; exceptions: string[] } | null
  /** Requests with it since it died. Null: it is not dead. */
  knocks: KnocksView | null
  forecast: Forecast[]
}

export type NodeUse = {
  node: string
  state: string
  /** What it proved to accept; null: it is lost, or has not proved what it was told last. */
  accepts: boolean | null
  inFlight: number
  lastUsedAt: string | null
}

/** For each digest, in their order, whatever it is the value or the public id of. */
export type WhoAnswer = {
  found: Owned[][]
  /** Credentials that have a value which could not be found by its fingerprint. */
  unfingerprinted: string[]
}

type Row = {
  credential: string
  generation: number
  key_id: string
  key_digest: string | null
  fingerprint: string | null
  label: string | null
  validity: string
  compromised: boolean
  store_versions: Record<string, string>
  shown: Record<string, string>
  workload: string
  purpose: string
  spec: CredentialSpec
  about: (typeof WorkloadSpec)['_output']
  open_rotation: string | null
}

/** More generations than one text speaks of, unless it is a list of them. */
const FOUND_MAX = 50

const COLUMNS = `g.credential, g.generation, g.key_id, g.fingerprint, g.label, g.validity,
  g.compromised_at is not null as compromised, g.store_versions, c.shown,
  c.workload, c.purpose, c.spec, w.spec as about, c.open_rotation`
const TABLES = `generation g join credential c on c.name = g.credential join workload w on w.name = c.workload`
/** As migration 0005 has it in an index. */
const KEY_DIGEST = "encode(sha256(replace(g.key_id, '\\', '\\\\')::bytea), 'hex')"

/**
 * `digests[i]` is the SHA-256 of a string as hex, `fingerprints[i]` the HMAC of that. Nothing of it is written down.
 */
export async function who(
  db: Database,
  { digests, fingerprints }: { digests: readonly string[]; fingerprints: readonly string[] },
): Promise<WhoAnswer> {
  const [byValue, byId] = await Promise.all([
    db.pool.query<Row>(
      `select ${COLUMNS}, null as key_digest from ${TABLES} where g.fingerprint = any($1)
       order by g.credential, g.generation limit ${FOUND_MAX}`,
      [fingerprints],
    ),
    db.pool.query<Row>(
      `select ${COLUMNS}, ${KEY_DIGEST} as key_digest from ${TABLES} where ${KEY_DIGEST} = any($1)
       order by g.credential, g.generation limit ${FOUND_MAX}`,
      [digests],
    ),
  ])
  const found: Owned[][] = digests.map(() => [])
  const forecasts = new Forecasts(db)
  const described = new Map<string, Omit<Owned, 'by'>>()
  const put = async (at: number, by: Owned['by'], row: Row) => {
    const name = `${row.credential} ${row.generation}`
    const owned = described.get(name) ?? (await describe(db, row, forecasts))
    described.set(name, owned)
    found[at]?.push({ by, ...owned })
  }
  // One after the other: a question must not take the connections of an order.
  for (const row of byValue.rows) await put(fingerprints.indexOf(row.fingerprint ?? ''), 'fingerprint', row)
  for (const row of byId.rows) await put(digests.indexOf(row.key_digest ?? ''), 'key-id', row)
  return { found, unfingerprinted: await without(db) }
}

async function describe(db: Database, row: Row, forecasts: Forecasts): Promise<Omit<Owned, 'by'>> {
  const { credential, generation } = row
  const nodes = await usedBy(db, credential, generation)
  const { rotation, ending } = await underWay(db, row)
  const dead = await deathOf(db, credential, generation)
  const used = nodes.filter((n) => n.lastUsedAt !== null)
  const clients = row.spec.clients ?? []
  const of = { credential, generation, clients }
  const last = used.toSorted((a, b) => String(b.lastUsedAt).localeCompare(String(a.lastUsedAt)))[0]
  return {
    credential,
    generation,
    keyId: row.key_id,
    workload: row.workload,
    purpose: row.purpose,
    environment: row.about.environment,
    owner: row.about.owner,
    label: row.label,
    validity: row.validity,
    ending,
    compromised: row.compromised,
    stores: Object.entries(row.store_versions).flatMap(([store, version]) =>
      row.shown[store] === version ? [store] : [],
    ),
    nodes,
    lastUse: last?.lastUsedAt ? { at: last.lastUsedAt, node: last.node } : null,
    clients: { declared: clients.map(({ name }) => name), seen: await clientsOf(db, of) },
    reaches: definitionOf(row.spec.authority).reaches(row.spec.authority),
    rotation,
    dead,
    knocks: row.validity === 'destroyed' ? await knocksOf(db, of) : null,
    forecast: dead || row.label === null ? [] : await forecasts.of(credential),
  }
}

async function usedBy(db: Database, credential: string, generation: number): Promise<NodeUse[]> {
  const { rows } = await db.pool.query(
    `select p.node, n.state,
            case when n.state = 'live' and p.proved_revision >= p.revision then $2 = any(p.proved) end as accepts,
            coalesce((u.used ->> 'inFlight')::int, 0) as "inFlight",
            to_timestamp((u.used ->> 'lastUsedAt')::float8 / 1000) as "lastUsedAt"
     from placement p join node n on n.name = p.node
     left join lateral (
       select used from jsonb_array_elements(p.usage) used where (used ->> 'generation')::int = $2) u on true
     where p.credential = $1 and n.state <> 'gone' order by p.node`,
    [credential, generation],
  )
  return rows.map((row) => ({ ...row, lastUsedAt: row.lastUsedAt?.toISOString() ?? null }))
}

async function underWay(
  db: Database,
  { open_rotation: id, generation }: Row,
): Promise<Pick<Owned, 'rotation' | 'ending'>> {
  if (id === null) return { rotation: null, ending: null }
  const { rows } = await db.pool.query('select state from rotation where id = $1', [id])
  if (!rows[0]) return { rotation: null, ending: null }
  if (isNewer(rows[0].state, db.format)) {
    const told: Partial<Rotation> = rows[0].state
    return { rotation: { id, phase: 'NewerRelease', mode: told.mode ?? 'rotate' }, ending: null }
  }
  const state = readState(rows[0].state, db.format)
  const ending = state.retirements.find((r) => r.generation === generation)?.step ?? null
  return { rotation: { id, phase: phaseOf(state), mode: state.mode }, ending }
}

/** From the journal, which outlives what it tells of. */
async function deathOf(db: Database, credential: string, generation: number): Promise<Owned['dead']> {
  const { rows } = await db.pool.query(
    `select j.type, j.data, j.at from journal j
     join rotation r on j.stream = 'rotation/' || r.id
     where r.credential = $1 and j.type in ('GenerationDead', 'RefusalProbed')
       and (j.data ->> 'generation')::int = $2 order by j.position`,
    [credential, generation],
  )
  const death = rows.findLast((row) => row.type === 'GenerationDead')
  if (!death) return null
  const probed = rows.findLast((row) => row.type === 'RefusalProbed' && row.data.conclusive)
  const results: { endpoint: string; verdict: string }[] = probed?.data.results ?? []
  return {
    since: death.at.toISOString(),
    refusedBy: results.filter((r) => r.verdict === 'refused').map((r) => r.endpoint),
    exceptions: death.data.exceptions,
  }
}

async function without(db: Database): Promise<string[]> {
  const { rows } = await db.pool.query(
    // What was given up before there was a value has none to find.
    'select distinct credential from generation where fingerprint is null and proof_key is not null order by credential',
  )
  return rows.map((row) => row.credential)
}
