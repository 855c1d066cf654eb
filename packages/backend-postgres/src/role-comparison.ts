import { RekeyError } from '@rekey/contracts'
import type pg from 'pg'

/** What a role is, but for its name and its password: each as a sentence that says the same of both roles of a pair. */
export type RoleFacts = {
  role: string
  memberships: string[]
  settings: string[]
  attributes: string[]
  /** What it owns or was granted itself, rather than through the owner. */
  direct: string[]
  /** Where its fence is; null: nowhere. */
  fence: string | null
}

export type PairFacts = { database: string; roles: RoleFacts[] }

const FACTS = `
  select current_database() as database, coalesce(json_agg(json_build_object(
    'role', r.rolname,
    'memberships', (
      select coalesce(json_agg(g.rolname || case when m.admin_option then ' (with admin option)' else '' end order by 1), '[]')
      from pg_catalog.pg_auth_members m join pg_catalog.pg_roles g on g.oid = m.roleid where m.member = r.oid),
    'settings', (
      select coalesce(json_agg(coalesce(d.datname || ': ', '') || setting order by 1), '[]')
      from pg_catalog.pg_db_role_setting s left join pg_catalog.pg_database d on d.oid = s.setdatabase,
           unnest(s.setconfig) setting where s.setrole = r.oid),
    'attributes', json_build_array(
      'superuser ' || r.rolsuper, 'inherit ' || r.rolinherit, 'createrole ' || r.rolcreaterole,
      'createdb ' || r.rolcreatedb, 'replication ' || r.rolreplication, 'bypassrls ' || r.rolbypassrls,
      'connection limit ' || r.rolconnlimit, 'valid until ' || coalesce(r.rolvaliduntil::text, 'for ever')),
    'direct', (
      select coalesce(json_agg(case o.deptype when 'o' then 'owns ' else 'has rights on ' end
               || o.classid::regclass || ' ' || o.objid || coalesce(' in ' || d.datname, '') order by 1), '[]')
      from pg_catalog.pg_shdepend o left join pg_catalog.pg_database d on d.oid = o.dbid
      where o.refclassid = 'pg_authid'::regclass and o.refobjid = r.oid),
    'fence', pg_catalog.shobj_description(r.oid, 'pg_authid')) order by r.rolname), '[]') as roles
  from pg_catalog.pg_roles r where r.rolname = any($1)`

export async function readPair(client: pg.Client, names: readonly string[]): Promise<PairFacts> {
  const { rows } = await client.query(FACTS, [names])
  return rows[0]
}

/** What the comment of each role says, wherever one looks: roles belong to the server, a fence to one database. */
export const fencedIn = (database: string) => `rekey: fenced in database ${database}`

/**
 * Clients must find the same behind either role, and every worker the same fence. Throws what must be mended first;
 * nothing has been changed by then.
 */
export function expectPair(
  facts: PairFacts,
  wanted: { database: string; owner: string; roles: readonly string[] },
): void {
  const { database, owner, roles } = wanted
  if (facts.database !== database)
    throw new RekeyError(
      'invalid_configuration',
      `the connection leads to database ${facts.database}, and the first endpoint to ${database}`,
    )
  const missing = roles.filter((role) => !facts.roles.some((found) => found.role === role))
  if (missing.length > 0)
    throw new RekeyError(
      'not_found',
      `there is no role ${missing.join(', ')}: see infra/postgres/role-pair.sql`,
    )
  for (const { role, fence } of facts.roles)
    if (fence !== fencedIn(database))
      throw new RekeyError(
        'invalid_configuration',
        `role ${role} is not fenced in database ${database}; its comment says: ${fence ?? 'nothing'}`,
      )
  const faults = facts.roles.flatMap(({ role, memberships, settings }) => [
    ...(memberships.includes(owner) ? [] : [`${role} is not a member of ${owner}`]),
    ...(settings.includes(`role=${owner}`) ? [] : [`${role} has no setting role=${owner}`]),
  ])
  faults.push(...differences(facts.roles))
  if (faults.length > 0) throw new RekeyError('roles_differ', faults.join('; '))
}

const COMPARED = ['memberships', 'settings', 'attributes', 'direct'] as const

function differences(roles: RoleFacts[]): string[] {
  return roles.flatMap((one) =>
    roles
      .filter((other) => other !== one)
      .flatMap((other) =>
        COMPARED.flatMap((field) =>
          one[field]
            .filter((fact) => !other[field].includes(fact))
            .map((fact) => `only ${one.role}: ${fact}`),
        ),
      ),
  )
}
