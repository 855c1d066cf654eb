import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type pg from 'pg'
import { withClient } from './with-client.ts'

const SETUP = new URL('../../postgres/role-pair.sql', import.meta.url)

export type RolePair = {
  pair: string
  owner: string
  /** The DSN of the role that manages the pair. */
  connection: string
  /** The database as clients reach it: without user and password. */
  endpoint: string
  /** Ends their sessions and drops the roles; for that, the database must have none of the owner's objects left. */
  drop(): Promise<void>
}

/** Makes a role pair in a database, by a superuser's url, as infra/postgres/role-pair.sql says it. */
export async function makeRolePair(url: string, pair: string): Promise<RolePair> {
  const setup = await readFile(SETUP, 'utf8')
  const [owner, manager] = [`${pair}_owner`, `${pair}_manager`]
  const password = randomBytes(18).toString('base64url')
  await withClient(url, async (client) => {
    await alone(client)
    await client.query(setup)
    await client.query(
      `create role ${client.escapeIdentifier(manager)} login createrole password '${password}'`,
    )
    await client.query('call rekey.make_role_pair($1, $2, $3)', [pair, owner, manager])
  })
  const connection = new URL(url)
  connection.username = manager
  connection.password = password
  const endpoint = new URL(url)
  endpoint.username = ''
  endpoint.password = ''
  return {
    pair,
    owner,
    connection: connection.href,
    endpoint: endpoint.href,
    drop: () =>
      withClient(url, async (client) => {
        const roles = [`${pair}_a`, `${pair}_b`, owner, manager]
        await client.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = any($1)', [
          roles,
        ])
        await alone(client)
        await client.query('delete from rekey.role_slot where pair = $1', [pair])
        const list = roles.map((role) => client.escapeIdentifier(role)).join(', ')
        await client.query(`drop owned by ${list} cascade`)
        await client.query(`drop role ${list}`)
      }),
  }
}

/**
 * One pair of a database at a time, until the connection ends: `create … if not exists` is no lock, and two that change
 * the rights on the schema at once (`grant`, `drop owned`) fail with "tuple concurrently updated".
 */
function alone(client: pg.Client): Promise<unknown> {
  return client.query("select pg_advisory_lock(hashtext('rekey-role-pair'))")
}
