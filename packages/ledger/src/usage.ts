import type { UsageMessage } from '@rekey/contracts'
import type { Database } from './database.ts'

/** Answers count for less the older they are: by this time, to about a third. */
const RECENT_S = 30
/** The weight of what is older than a minute: what came since a report that is as old is not of lately. */
const LONG_AGO = Math.exp(-60 / RECENT_S)

/**
 * Ages become times on the ledger's clock; a time never goes back, because a gateway's restart loses its counters. What
 * somebody has locked is left out: the next report says the same and more, and is waited for by nobody.
 *
 * `recent` is what was answered lately, where the software counts failures: what came since the last report, and what was
 * known then, weighed down by its age. Counters that went back have begun anew, and say nothing until the next report.
 */
export async function recordUsage(db: Database, reports: (UsageMessage & { node: string })[]): Promise<void> {
  await db.pool.query(
    `with r as (
       select r.node, r.credential, r.generations, p.reported_at,
         exp(-least(100, extract(epoch from clock_timestamp() - p.reported_at) / ${RECENT_S})::float8) as kept
       from jsonb_to_recordset($1::jsonb) as r (node text, credential text, session bigint, generations jsonb)
       join node n on n.name = r.node and n.session = r.session
       join placement p on p.node = r.node and p.credential = r.credential
       for update of p skip locked
     )
     update placement p set reported_at = clock_timestamp(), usage = (
       select coalesce(jsonb_agg(jsonb_build_object(
         'generation', g.generation, 'inFlight', g."inFlight", 'requests', g.requests,
         'lastUsedAt', greatest(
           ((extract(epoch from clock_timestamp()) * 1000) - g."lastUseAgeMs")::bigint, u."lastUsedAt"))
         || case when g.failures is null then '{}' else jsonb_build_object(
           'failures', g.failures,
           'recent', jsonb_build_object('requests', ${recent('requests')}, 'failures', ${recent('failures')})) end), '[]')
       from jsonb_to_recordset(r.generations) as g (
         generation integer, "inFlight" integer, "lastUseAgeMs" double precision, requests bigint, failures bigint)
       left join jsonb_to_recordset(p.usage) as u (
         generation integer, "lastUsedAt" bigint, requests bigint, failures bigint, recent jsonb) on u.generation = g.generation)
     from r where p.node = r.node and p.credential = r.credential`,
    [JSON.stringify(reports)],
  )
}

/** A generation that was not in the last report has come since. */
const recent = (what: 'requests' | 'failures') => `round((
  coalesce((u.recent ->> '${what}')::float8 * r.kept, 0) + case
    when r.reported_at is null or r.kept < ${LONG_AGO} or (u.generation is not null and u.failures is null) then 0
    else greatest(0, g.${what} - coalesce(u.${what}, 0)) end)::numeric, 2)`
