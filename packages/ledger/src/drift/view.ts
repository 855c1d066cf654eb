import { RekeyError } from '@rekey/contracts'
import type { Database } from '../database.ts'
import type { DriftOrder } from './finding.ts'
import type { DriftedStore, StoreVerdict } from './judge.ts'

/** A drift that is open, as people see it. */
export type DriftView = {
  id: number
  credential: string
  owner: string
  environment: string
  /** The one in use, which readers should get. */
  generation: number
  foundAt: string
  stores: DriftedStore[]
  order: DriftOrder | null
}

/** The last look at a credential's stores. */
export type DriftLookView = {
  credential: string
  /** How often a look was asked for, and which of these is answered. */
  asked: number
  answered: number
  lookedAt: string | null
  stores: StoreVerdict[]
  /** The rotation that moves the stores now. */
  openRotation: string | null
  drift: DriftView | null
}

/** The oldest first. */
export async function listDrift(db: Database, credential?: string): Promise<DriftView[]> {
  const { rows } = await db.pool.query(
    `select d.id, d.credential, w.spec ->> 'owner' as owner, w.spec ->> 'environment' as environment, d.generation,
            d.found_at, d.stores, d.ordered
     from drift d join credential c on c.name = d.credential join workload w on w.name = c.workload
     where d.settled_at is null ${credential === undefined ? '' : 'and d.credential = $1'} order by d.id`,
    credential === undefined ? [] : [credential],
  )
  return rows.map(({ id, found_at, ordered, ...row }) => ({
    ...row,
    id: Number(id),
    foundAt: found_at.toISOString(),
    order: ordered,
  }))
}

export async function showLook(db: Database, credential: string): Promise<DriftLookView> {
  const { rows } = await db.pool.query(
    `select c.open_rotation, coalesce(l.asked, 0) as asked, coalesce(l.answered, 0) as answered, l.looked_at,
            coalesce(l.stores, '[]') as stores
     from credential c left join drift_look l on l.credential = c.name where c.name = $1`,
    [credential],
  )
  if (!rows[0]) throw new RekeyError('not_found', `there is no credential named ${credential}`)
  const { open_rotation, asked, answered, looked_at, stores } = rows[0]
  const [drift = null] = await listDrift(db, credential)
  return {
    credential,
    asked,
    answered,
    lookedAt: looked_at?.toISOString() ?? null,
    stores,
    openRotation: open_rotation,
    drift,
  }
}
