import type { Facts, Member } from '@rekey/core'
import type { Queryable } from './database.ts'

/**
 * The world around a credential now: its clock, its expected nodes, its leases. Read under the credential's lock, but
 * for what is only shown.
 */
export async function readFacts(
  tx: Queryable,
  credential: { name: string; last_generation: number; open_rotation: string | null },
  { onlyShown = false }: { onlyShown?: boolean } = {},
): Promise<Facts> {
  const { now, members } = await readMembers(tx, credential.name)
  const nextGeneration = credential.last_generation + 1
  return {
    now,
    members,
    nextGeneration,
    leasedUntil: await readLeases(tx, credential.open_rotation, onlyShown),
  }
}

type MemberRow = Omit<Member, 'excused' | 'lost'> & { state: string; excusedUntil: number | null }

/** In one statement with the clock, because every decision asks for both. */
async function readMembers(tx: Queryable, credential: string): Promise<{ now: number; members: Member[] }> {
  const { rows } = await tx.query(
    `select (extract(epoch from clock_timestamp()) * 1000)::bigint as now, coalesce(json_agg(json_build_object(
              'node', p.node, 'state', n.state, 'provedRevision', p.proved_revision, 'accepts', p.proved,
              'usage', p.usage, 'excusedUntil', (p.excused ->> 'until')::bigint,
              'reportedAt', (extract(epoch from p.reported_at) * 1000)::bigint) order by p.node), '[]') as members
     from placement p join node n on n.name = p.node
     where p.credential = $1 and n.state <> 'gone'`,
    [credential],
  )
  const { now, members }: { now: number; members: MemberRow[] } = rows[0]
  return {
    now,
    members: members.map(({ state, excusedUntil, ...row }) => ({
      ...row,
      excused: excusedUntil !== null && excusedUntil > now,
      lost: state === 'lost',
    })),
  }
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
