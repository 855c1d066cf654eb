import { CredentialSpec } from '@rekey/contracts'
import type { Database } from './database.ts'

/** A credential of which the authority shall be asked who still uses these generations. */
export type ToObserve = {
  credential: string
  spec: CredentialSpec
  generations: number[]
  keyIds: Record<number, string>
}

/** Generations that are being drained, where the authority is the one to know. */
export async function toObserve(db: Database): Promise<ToObserve[]> {
  const { rows } = await db.pool.query(
    `select r.credential, r.spec, array_agg((t ->> 'generation')::int) as generations,
            (select jsonb_object_agg(generation, key_id) from generation where credential = r.credential) as "keyIds"
     from rotation r, jsonb_array_elements(r.state -> 'retirements') t
     where r.observed and r.closed_at is null and t ->> 'step' in ('draining', 'suspending')
     group by r.id order by r.credential`,
    [],
  )
  return rows.map((row) => ({ ...row, spec: CredentialSpec.parse(row.spec) }))
}

export type Seen = {
  generation: number
  sessions: number
  /** As the authority says it, milliseconds since the epoch, where it does; null: it has seen no use. */
  lastUsedAt?: number | null
  /** How long ago the look began: what came up since then was not seen. */
  ageMs: number
}

/**
 * A look that began before one that is known says nothing new of the count, but of use. What is not drained any more is
 * forgotten.
 */
export async function recordObservation(db: Database, credential: string, seen: Seen[]): Promise<void> {
  await db.pool.query(
    `with s as (
       select generation, sessions, to_timestamp("lastUsedAt" / 1000) as used_at, clock_timestamp() - "ageMs" * interval '1 millisecond' as looked_at
       from jsonb_to_recordset($2::jsonb) as s (generation integer, sessions integer, "lastUsedAt" double precision, "ageMs" double precision)
     ), gone as (
       delete from observation where credential = $1 and generation not in (select generation from s)
     )
     insert into observation as o (credential, generation, looked_at, sessions, last_used_at)
     select $1, generation, looked_at, sessions, case when sessions > 0 then looked_at else used_at end from s
     on conflict (credential, generation) do update set
       looked_at = greatest(o.looked_at, excluded.looked_at),
       sessions = case when excluded.looked_at >= o.looked_at then excluded.sessions else o.sessions end,
       last_used_at = greatest(o.last_used_at, excluded.last_used_at)`,
    [credential, JSON.stringify(seen)],
  )
}
