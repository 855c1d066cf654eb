import { CredentialSpec, type InventoryPlace, type ListedPlace, RekeyError } from '@rekey/contracts'
import type { Database, Queryable } from './database.ts'
import { compareInventory, type Governed, type InventoryFound, placesOf } from './inventory-comparison.ts'

/** What somebody asked about the backends, and what came of it; `found` is null until a rotator has looked. */
export type InventoryScanView = {
  id: number
  askedBy: string
  askedAt: string
  finishedAt: string | null
  found: InventoryFound | null
}

/** A scan that a rotator has under way. `places`: every one that a credential names. */
export type TakenScan = { id: number; attempt: number; places: InventoryPlace[] }

/** Older ones are forgotten: a scan tells what is, not what was. */
const KEPT = 20

/** Asks for a scan. While one is under way nobody else's is begun: it is the answer to all who ask. */
export async function askScan(db: Database, actor: string): Promise<InventoryScanView> {
  await db.pool.query('insert into inventory_scan (asked_by) values ($1) on conflict do nothing', [actor])
  await db.pool.query("select pg_notify('rekey_effects', 'routine')")
  const { rows } = await db.pool.query(`select ${COLUMNS} from inventory_scan order by id desc limit 1`, [])
  return viewOf(rows[0])
}

export async function showScan(db: Database, id: number): Promise<InventoryScanView> {
  const { rows } = await db.pool.query(`select ${COLUMNS} from inventory_scan where id = $1`, [id])
  if (!rows[0]) throw new RekeyError('not_found', `there is no scan ${id}; the last ${KEPT} are kept`)
  return viewOf(rows[0])
}

/** Takes the scan that waits, for so long; undefined: there is none, or another rotator has it. */
export async function takeScan(db: Database, leaseMs: number): Promise<TakenScan | undefined> {
  const { rows } = await db.pool.query(
    `update inventory_scan set attempt = attempt + 1, lease_until = clock_timestamp() + $1 * interval '1 millisecond'
     where finished_at is null and (lease_until is null or lease_until <= clock_timestamp()) returning id, attempt`,
    [leaseMs],
  )
  if (!rows[0]) return undefined
  const { id, attempt } = rows[0]
  return { id: Number(id), attempt, places: placesOf(await readGoverned(db.pool)) }
}

/** Compares what was listed with what is governed now, and answers whoever asked. A late attempt changes nothing. */
export async function recordScan(
  db: Database,
  { id, attempt }: Pick<TakenScan, 'id' | 'attempt'>,
  listed: ListedPlace[],
): Promise<void> {
  const found = compareInventory(listed, await readGoverned(db.pool))
  await db.pool.query(
    'update inventory_scan set found = $3, finished_at = now() where id = $1 and attempt = $2 and finished_at is null',
    [id, attempt, JSON.stringify(found)],
  )
  await db.pool.query('delete from inventory_scan where id <= $1', [id - KEPT])
}

const COLUMNS = 'id, asked_by, asked_at, finished_at, found'

function viewOf(row: {
  id: number | string
  asked_by: string
  asked_at: Date
  finished_at: Date | null
  found: InventoryFound | null
}): InventoryScanView {
  return {
    id: Number(row.id),
    askedBy: row.asked_by,
    askedAt: row.asked_at.toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
    found: row.found,
  }
}

async function readGoverned(tx: Queryable): Promise<Governed[]> {
  const { rows } = await tx.query(
    `select c.name as credential, w.spec ->> 'owner' as owner, c.spec,
            (select coalesce(jsonb_agg(jsonb_build_object('keyId', g.key_id, 'expected', g.validity in ('active', 'suspended'))), '[]')
             from generation g where g.credential = c.name and g.validity <> 'destroyed') as keys,
            c.retired_at is null and (c.current_generation is not null
              or coalesce(c.spec ->> 'firstValue', '') = 'adopt') as expected
     from credential c join workload w on w.name = c.workload order by c.name`,
    [],
  )
  return rows.map(({ spec, ...row }) => {
    const { stores, authority } = CredentialSpec.parse(spec)
    return { ...row, stores, authority }
  })
}
