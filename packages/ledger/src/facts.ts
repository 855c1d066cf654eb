import type { Facts, Member } from '@rekey/core'
import { clock, type Queryable } from './database.ts'

/** The world around a credential now: its clock and its expected nodes. Read under the credential's lock. */
export async function readFacts(tx: Queryable, credential: string): Promise<Facts> {
  const now = await clock(tx)
  const { rows } = await tx.query(
    `select p.node, p.proved_revision, p.proved, p.usage, (extract(epoch from p.reported_at) * 1000)::bigint as reported_at
     from placement p join node n on n.name = p.node
     where p.credential = $1 and n.state <> 'gone' order by p.node`,
    [credential],
  )
  const members = rows.map(
    (row): Member => ({
      node: row.node,
      excused: false,
      provedRevision: row.proved_revision,
      accepts: row.proved,
      reportedAt: row.reported_at,
      usage: row.usage,
    }),
  )
  return { now, members }
}
