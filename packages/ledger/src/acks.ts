import { leavesLostBehind, rolloutsOf } from '@rekey/core'
import type { Database } from './database.ts'
import type { VerifiedAck } from './fleet-ledger.ts'
import { isNewer, readState, type Stored } from './format.ts'
import { submitIn } from './submit.ts'

/** A wave that somebody may still owe a proof for. */
type Wave = {
  revision: number
  nodes: string[]
  waitsForLost: boolean
  /** One that owed it when it was last looked at: as long as this one does, nobody else need be asked for. */
  owing?: string
}

/** The waves under way of one rotation, as of a version of its row. `newer`: a newer release wrote it. */
type Known = { rotation: string; version: string; waves: Wave[] | 'newer' }

const KNOWN_MAX = 100

/**
 * Waves under way by credential, as they were read last. A rotation of a large fleet is a large text, and its nodes' proofs come in
 * hundreds of batches while nothing of it changes.
 */
export class KnownWaves {
  readonly #known = new Map<string, Known>()

  async of(db: Database, credential: string): Promise<Known | undefined> {
    const before = this.#known.get(credential)
    const { rows } = await db.pool.query(
      // The row's version, as of PostgreSQL, changes with each write of it.
      `select r.id, r.xmin::text as version, case when r.id = $2 and r.xmin::text = $3 then null else r.state end as state
       from credential c join rotation r on r.id = c.open_rotation where c.name = $1`,
      [credential, before?.rotation ?? null, before?.version ?? null],
    )
    const [row] = rows
    if (row && row.state === null) return before
    this.#known.delete(credential)
    if (!row) return undefined
    const known = { rotation: row.id, version: row.version, waves: wavesOf(row.state, db.format) }
    this.#known.set(credential, known)
    const [oldest] = this.#known.keys()
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest)
    return known
  }
}

function wavesOf(state: Stored, format: number): Known['waves'] {
  if (isNewer(state, format)) return 'newer'
  const rotation = readState(state, format)
  return rolloutsOf(rotation).flatMap((rollout) => {
    const nodes = rollout.waves[rollout.wave]
    const waitsForLost = !leavesLostBehind(rotation, rollout)
    return nodes ? [{ revision: rollout.revision, nodes, waitsForLost }] : []
  })
}

/** Writes what nodes proved, and tells their rotations of the waves that are proved by that. */
export async function recordAcks(db: Database, waves: KnownWaves, acks: VerifiedAck[]): Promise<void> {
  const { rows } = await db.pool.query(
    // In the order in which a wave locks them too, so that the two cannot wait for each other.
    `with said as (
       select a.* from jsonb_to_recordset($1::jsonb) as a (node text, session bigint, credential text, revision bigint, proved integer[], refusals jsonb)
       join node n on n.name = a.node and n.session = a.session and n.state <> 'gone'
       join placement p on p.node = a.node and p.credential = a.credential and p.revision = a.revision
       order by p.node, p.credential for update of p
     )
     update placement p set proved_revision = a.revision, proved = a.proved, refusals = a.refusals, proved_at = now(), nack = null
     from said a where p.node = a.node and p.credential = a.credential and p.revision = a.revision
     returning p.credential, p.revision`,
    [JSON.stringify(acks)],
  )
  const touched = new Map(rows.map((row) => [`${row.credential} ${row.revision}`, row]))
  // In an order of their own: the database promises none, and what follows from acks should not depend on it.
  const inOrder = [...touched.values()].sort((a, b) =>
    a.credential === b.credential ? a.revision - b.revision : a.credential < b.credential ? -1 : 1,
  )
  for (const { credential, revision } of inOrder) await waveProved(db, waves, credential, revision)
}

/** Tells the open rotation once its whole wave has proved: one input for a wave, not one for each node. */
async function waveProved(
  db: Database,
  waves: KnownWaves,
  credential: string,
  revision: number,
): Promise<void> {
  const known = await waves.of(db, credential)
  // The proofs are kept. A newer process counts them when it hears the next one: at the latest in a new session, which
  // every node opens when this process is replaced.
  if (!known || known.waves === 'newer') return
  // A containment narrows and widens at once: a proof of a later revision may be the last one of an earlier wave.
  for (const wave of known.waves) {
    if (wave.revision > revision || (await isOwed(db, credential, wave))) continue
    const input = { type: 'WaveProved', revision: wave.revision } as const
    await db.transaction((tx) => submitIn(tx, known.rotation, input, 'fleet'))
  }
}

async function isOwed(db: Database, credential: string, wave: Wave): Promise<boolean> {
  const { owing } = wave
  if (owing !== undefined && (await owed(db, credential, wave, [owing])) !== undefined) return true
  const found = await owed(db, credential, wave, wave.nodes)
  if (found === undefined) delete wave.owing
  else wave.owing = found
  return found !== undefined
}

/** One of these nodes that has yet to prove the wave, if there is any. */
async function owed(
  db: Database,
  credential: string,
  { revision, waitsForLost }: Wave,
  nodes: string[],
): Promise<string | undefined> {
  const { rows } = await db.pool.query(
    `select p.node from placement p join node n on n.name = p.node
     where p.credential = $1 and p.node = any($3) and p.proved_revision < $2 and n.state <> 'gone'
       and ($4 or n.state <> 'lost') and coalesce((p.excused ->> 'until')::numeric, 0) < extract(epoch from now()) * 1000
     limit 1`,
    [credential, revision, nodes, waitsForLost],
  )
  return rows[0]?.node
}
