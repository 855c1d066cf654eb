import type { Disruption, Facts, Member, Observation } from '@rekey/core'
import type { Queryable } from './database.ts'
import type { Stored } from './format.ts'

type MemberRow = Omit<Member, 'excused' | 'lost' | 'cacheMs' | 'longestMs' | 'disruption' | 'nack'> & {
  nack: string | null
  state: string
  excusedUntil: number | null
  cacheMs: number | null
  longestMs: number | null
  disruption: Disruption | null
}

type Locked = { name: string; last_generation: number; open_rotation: string | null }

/**
 * The world around a credential now: its clock, its expected nodes, its leases. Read under the credential's lock, but
 * for what is only shown.
 */
export async function readFacts(
  tx: Queryable,
  credential: Locked,
  how: { onlyShown?: boolean } = {},
): Promise<Facts> {
  return (await readAround(tx, credential, credential.open_rotation, how)).facts
}

/**
 * The same, and the stored state of a rotation (null: there is none). In one statement with the clock, because every
 * decision asks for all of it.
 *
 * `leasedUntil`: when the last lease ends that somebody still holds on effects of that rotation, on those that were
 * cancelled too. What was decided by that is in force before one is renewed again: renewals pass over what is locked.
 */
export async function readAround(
  tx: Queryable,
  credential: Locked,
  rotation: string | null,
  { onlyShown = false }: { onlyShown?: boolean } = {},
): Promise<{ facts: Facts; state: Stored | null }> {
  const { rows } = await tx.query(
    `with held as (
       select lease_until from effect where rotation = $2 and lease_until > clock_timestamp()
       ${onlyShown ? '' : 'for update'}
     ), member as (
       select json_agg(json_build_object(
                'node', p.node, 'state', n.state, 'provedRevision', p.proved_revision, 'accepts', p.proved,
                'usage', p.usage, 'labels', n.labels, 'cacheMs', p.manifest -> 'cacheMs', 'longestMs', p.manifest -> 'longestMs',
                'disruption', p.manifest ->> 'disruption', 'nack', p.nack ->> 'reason', 'excusedUntil', (p.excused ->> 'until')::bigint,
                'reportedAt', (extract(epoch from p.reported_at) * 1000)::bigint) order by p.node) as members
       from placement p join node n on n.name = p.node
       where p.credential = $1 and n.state <> 'gone'
     )
     select (extract(epoch from clock_timestamp()) * 1000)::bigint as now,
            coalesce(member.members, '[]') as members,
            (select extract(epoch from max(lease_until)) * 1000 from held)::bigint as until,
            (select json_agg(json_build_object(
                      'generation', generation, 'at', (extract(epoch from looked_at) * 1000)::bigint, 'sessions', sessions,
                      'lastUsedAt', (extract(epoch from last_used_at) * 1000)::bigint))
             from observation where credential = $1) as observed,
            (select state from rotation where id = $2) as state
     from member`,
    [credential.name, rotation],
  )
  const { now, members, until, observed, state }: Row = rows[0]
  return {
    state,
    facts: {
      now,
      members: members.map(({ state, excusedUntil, cacheMs, longestMs, disruption, nack, ...row }) => ({
        ...row,
        ...(cacheMs !== null && { cacheMs }),
        ...(longestMs !== null && { longestMs }),
        ...(disruption !== null && { disruption }),
        ...(nack !== null && { nack }),
        excused: excusedUntil !== null && excusedUntil > now,
        lost: state === 'lost',
      })),
      nextGeneration: credential.last_generation + 1,
      leasedUntil: until ?? 0,
      ...(observed && { observed }),
    },
  }
}

type Row = {
  now: number
  members: MemberRow[]
  until: number | null
  observed: Observation[] | null
  state: Stored | null
}
