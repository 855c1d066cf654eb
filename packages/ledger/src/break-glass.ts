import type { OrderResource } from './approvals.ts'
import type { Database } from './database.ts'
import { append } from './journal.ts'

const STREAM = 'break-glass'

/** One request with a break-glass token, as the control that answered it spooled it. */
export type BreakGlassUse = {
  /** Of this use alone: a repeat is not journalled again. */
  use: string
  token: string
  person: string
  action: string
  resource: { type: string; id: string }
  reason: string | null
  ticket: string | null
  /** Where it came from. */
  address: string
  /** ISO 8601, by the clock of that control. */
  at: string
  /** What it answered, as HTTP has it; null: it stopped before it could say. */
  status: number | null
}

/** Breaks the seal of a token, or says how long a broken one is good for. */
export async function openBreakGlass(
  db: Database,
  opened: { token: string; person: string; forMs: number },
): Promise<{ endsAt: string; ended: boolean }> {
  const { token, person, forMs } = opened
  return db.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `insert into break_glass (token, person, ends_at) values ($1, $2, now() + $3 * interval '1 millisecond')
       on conflict do nothing`,
      [token, person, forMs],
    )
    const { rows } = await tx.query(
      'select ends_at, ends_at <= now() as ended from break_glass where token = $1',
      [token],
    )
    const { ends_at, ended } = rows[0]
    const endsAt: string = ends_at.toISOString()
    if (rowCount === 1)
      await append(tx, STREAM, `break-glass/${person}`, [{ type: 'BreakGlassOpened', token, person, endsAt }])
    return { endsAt, ended }
  })
}

/** From the spool, as often as it takes: each use comes into the journal once. */
export async function recordBreakGlassUse(db: Database, used: BreakGlassUse): Promise<void> {
  await db.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      'insert into break_glass_use (use) values ($1) on conflict do nothing',
      [used.use],
    )
    if (rowCount === 1)
      await append(tx, STREAM, `break-glass/${used.person}`, [{ type: 'BreakGlassUsed', ...used }])
  })
}

/**
 * How many nodes an order is about, those that are gone left out. Under a token: all that is ordered with it, this included.
 * It is noted before it is judged, so that two at once see each other; `forgetReach` takes a refused one back.
 */
export async function blastRadius(
  db: Database,
  resource: OrderResource,
  under?: { token: string; use: string },
): Promise<number> {
  if (under)
    await db.pool.query('insert into break_glass_reach (use, token, resource) values ($1, $2, $3)', [
      under.use,
      under.token,
      JSON.stringify(resource),
    ])
  const { rows } = await db.pool.query(
    `with reach as (
       select $1::jsonb as resource union all select resource from break_glass_reach where token = $2)
     select count(distinct n.name)::integer as nodes
     from node n join reach r on
       case r.resource ->> 'type'
         when 'System' then true
         when 'Node' then n.name = r.resource ->> 'id'
         else n.workload = r.resource ->> 'workload' end
     where n.state <> 'gone'`,
    [JSON.stringify(resource), under?.token ?? null],
  )
  return rows[0].nodes
}

/** What was refused is not ordered. */
export async function forgetReach(db: Database, use: string): Promise<void> {
  await db.pool.query('delete from break_glass_reach where use = $1', [use])
}
