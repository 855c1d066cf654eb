import { CredentialSpec } from '@rekey/contracts'
import { type Found, isWhole, verdictOf } from '@rekey/core'
import type { Database } from '../database.ts'
import { append } from '../journal.ts'

/** A held credential that nobody has looked at so far, or not with success. */
export type ToInspect = { recovery: string; credential: string; spec: CredentialSpec }

/** Those that were not tried for a while, the longest waiting first. */
export async function toInspect(db: Database, againMs: number, limit = 20): Promise<ToInspect[]> {
  const { rows } = await db.pool.query(
    `select i.recovery, i.credential, c.spec from recovery_item i join credential c on c.name = i.credential
     where i.released_at is null and i.inspected_at is null
       and (i.looked_at is null or i.looked_at < now() - $1 * interval '1 millisecond')
     order by i.looked_at nulls first, i.credential limit $2`,
    [againMs, limit],
  )
  return rows.map((row) => ({ ...row, spec: CredentialSpec.parse(row.spec) }))
}

/** What a look at the stores showed. It is looked again until it is whole; what a human released is not changed. */
export async function recordFound(
  db: Database,
  { recovery, credential }: Pick<ToInspect, 'recovery' | 'credential'>,
  seen: { found: Found } | { error: string },
  actor: string,
): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query('select from credential where name = $1 for update', [credential])
    const found = 'found' in seen ? seen.found : undefined
    const error = 'error' in seen ? seen.error : isWhole(seen.found) ? null : 'not every endpoint answers'
    const { rows } = await tx.query(
      `update recovery_item set looked_at = now(), error = $3, found = coalesce($4, found),
              inspected_at = case when $3::text is null then now() end
       where recovery = $1 and credential = $2 and released_at is null and inspected_at is null
       returning believed`,
      [recovery, credential, error, found === undefined ? null : JSON.stringify(found)],
    )
    if (!rows[0] || error !== null || !found) return
    const verdict = verdictOf(found, rows[0].believed)
    await append(tx, 'recovery', actor, [
      { type: 'CredentialInspected', recovery, credential, verdict, ...summary(found) },
    ])
  })
}

/** What the journal keeps of it: no more than people need. */
function summary({ stores, generations }: Found) {
  return {
    stores: stores.map(({ store, current }) => ({ store, current })),
    generations: generations.map(({ generation, tried }) => ({ generation, tried })),
  }
}
