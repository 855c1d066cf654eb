import type { Database } from './database.ts'
import { heldSql } from './recovery/held.ts'
import { lockCredential, startIn } from './submit.ts'

/**
 * When a credential `c` rotates by itself, as SQL; null: never. A try that failed is followed by the next one after a quarter
 * of the allowed age, so that one fits in before the end of what lives for half as long again; and after a day at the latest.
 */
export const DUE_SQL = `(case when c.spec ? 'maxAge' and c.retired_at is null then (
  select greatest(
    g.created_at + (c.spec ->> 'maxAge')::interval,
    (select max(r.opened_at) from rotation r where r.credential = c.name) + least((c.spec ->> 'maxAge')::interval / 4, '1 day'))
  from generation g where g.credential = c.name and g.generation = c.current_generation) end)`

/** Restored ledgers wait for people. */
const IS_DUE = `c.open_rotation is null and ${DUE_SQL} <= clock_timestamp() and not ${heldSql('c.name')}`

/** So many in one round; those that are due the longest first. */
const AT_ONCE = 100

/**
 * Opens a rotation for each credential whose value is older than `maxAge` allows. Resolves to how many were opened. One that cannot be
 * opened is told to `onFault`, and stops no other.
 */
export async function rotateAged(
  db: Database,
  actor: string,
  onFault: (credential: string, error: unknown) => void = () => {},
): Promise<number> {
  const { rows } = await db.pool.query(
    `select c.name from credential c where ${IS_DUE} order by ${DUE_SQL}, c.name limit ${AT_ONCE}`,
    [],
  )
  let opened = 0
  for (const { name } of rows) {
    try {
      if (await db.transaction((tx) => rotateIfDue(tx, name, actor))) opened++
    } catch (error) {
      onFault(name, error)
    }
  }
  return opened
}

async function rotateIfDue(tx: Parameters<typeof startIn>[0], name: string, actor: string): Promise<boolean> {
  const { current_generation, spec } = await lockCredential(tx, name)
  // Another process may have been first.
  const { rows } = await tx.query(`select from credential c where c.name = $1 and ${IS_DUE}`, [name])
  if (!rows[0]) return false
  const reason = `generation ${current_generation} is older than ${spec.maxAge}`
  await startIn(tx, name, {
    cause: { kind: 'schedule', actor, reason },
    mode: 'rotate',
    goal: 'replace',
    compromised: [],
  })
  return true
}
