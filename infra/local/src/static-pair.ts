import { randomBytes } from 'node:crypto'
import { askVault } from './vault-api.ts'
import { withClient } from './with-client.ts'

/** The mount and password policy that `provision` makes. */
const MOUNT = 'database'
const PASSWORDS = 'rekey-database'

export type StaticPair = {
  mount: string
  /** The static roles, and their users in the same order. */
  roles: [string, string]
  users: [string, string]
  owner: string
  /** Vault's own user, and the name of its connection. */
  manager: string
  connection: string
  /** The database as clients reach it: without user and password. */
  endpoint: string
  /** The DSN of a login that counts the sessions of others, and ends them. */
  sessions: string
  /** Drops what was made for it. */
  drop(): Promise<void>
}

export type StaticRoleSettings = { rotation_period?: string; rotation_schedule?: string }

/** Makes two static roles of Vault's database secrets engine in a database, as docs/guides/vault-static.md says it. */
export async function makeStaticPair(
  { postgresUrl, vault }: { postgresUrl: string; vault: { addr: string; token: string } },
  name: string,
  settings: StaticRoleSettings = { rotation_period: '90d' },
): Promise<StaticPair> {
  const ask = (method: 'POST' | 'DELETE', path: string, body?: unknown) =>
    askVault(vault.addr, vault.token, method, path, body)
  const [owner, manager, watcher] = [`${name}_owner`, `${name}_vault`, `${name}_sessions`]
  const users: [string, string] = [`${name}_a`, `${name}_b`]
  const roles: [string, string] = [`rekey-${name}-a`, `rekey-${name}-b`]
  const [password, watcherPassword] = [randomBytes(18).toString('hex'), randomBytes(18).toString('hex')]
  const url = new URL(postgresUrl)
  await withClient(postgresUrl, async (client) => {
    await client.query(`create role ${owner} nologin`)
    await client.query(`create role ${manager} login createrole password '${password}'`)
    await client.query(`create role ${watcher} login password '${watcherPassword}'`)
    await client.query(`grant pg_read_all_stats, pg_signal_backend to ${watcher}`)
    for (const user of users) {
      await client.query(`create role ${user} login in role ${owner}`)
      await client.query(`alter role ${user} set role = '${owner}'`)
      await client.query(`grant ${user} to ${manager} with admin true, inherit false, set false`)
    }
  })
  await ask('POST', `${MOUNT}/config/${name}`, {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: roles,
    connection_url: `postgresql://{{username}}:{{password}}@${url.host}${url.pathname}?sslmode=disable&connect_timeout=2&statement_timeout=1000`,
    username: manager,
    password,
    password_policy: PASSWORDS,
    password_authentication: 'scram-sha-256',
  })
  for (const [at, role] of roles.entries())
    await ask('POST', `${MOUNT}/static-roles/${role}`, { db_name: name, username: users[at], ...settings })

  const as = (user: string, secret: string) => {
    const dsn = new URL(postgresUrl)
    dsn.username = user
    dsn.password = secret
    return dsn.href
  }
  return {
    mount: MOUNT,
    roles,
    users,
    owner,
    manager,
    connection: name,
    endpoint: as('', ''),
    sessions: as(watcher, watcherPassword),
    async drop() {
      for (const role of roles) await ask('DELETE', `${MOUNT}/static-roles/${role}`)
      await ask('DELETE', `${MOUNT}/config/${name}`)
      await withClient(postgresUrl, async (client) => {
        await client.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = any($1)', [
          [manager, watcher, ...users],
        ])
        await client.query(`drop role ${[...users, manager, watcher, owner].join(', ')}`)
      })
    },
  }
}
