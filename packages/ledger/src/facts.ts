import type { Facts, Member } from '@rekey/core'
import { clock, type Queryable } from './database.ts'

/**
 * The world around a credential now: its clock, its expected nodes, its leases. Read under the credential's lock, but
 * for what is only shown.
 */
export async function readFacts(
  tx: Queryable,
  credential: { name: string; last_generation: number; open_rotation: string | null },
  { onlyShown = false }: { onlyShown?: boolean } = {},
): Promise<Facts> {
  const now = await clock(tx)
  const nextGeneration = credential.last_generation + 1
  return {
    now,
    members: await readMembers(tx, credential.name, now),
    nextGeneration,
    leasedUntil: await readLeases(tx, credential.open_rotation, onlyShown),
  }
}

async function readMembers(tx: Queryable, credential: string, now: number): Promise<Member[]> {
  const { rows } = await tx.query(
    `select p.node, n.state, p.proved_revision, p.proved, p.usage, (p.excused ->> 'until')::bigint as excused_until,
            (extract(epoch from p.reported_at) * 1000)::bigint as reported_at
     from placement p join node n on n.name = p.node
     where p.credential = $1 and n.state <> 'gone' order by p.node`,
    [credential],
  )
  return rows.map(
    (row): Member => ({
      node: row.node,
      excused: row.excused_until !== null && row.excused_until > now,
      lost: row.state === 'lost',
      provedRevision: row.proved_revision,
      accepts: row.proved,
      reportedAt: row.reported_at,
      usage: row.usage,
    }),
  )
}

/**
 * When the last lease ends that somebody still holds, on effects that were cancelled too. What was decided by that is
 * in force before one is renewed again: renewals pass over what is locked.
 */
async function readLeases(tx: Queryable, rotation: string | null, onlyShown: boolean): Promise<number> {
  if (rotation === null) return 0
  const { rows } = await tx.query(
    `select (extract(epoch from max(lease_until)) * 1000)::bigint as until from (
       select lease_until from effect where rotation = $1 and lease_until > clock_timestamp()
       ${onlyShown ? '' : 'for update'}) as held`,
    [rotation],
  )
  return rows[0].until ?? 0
}
