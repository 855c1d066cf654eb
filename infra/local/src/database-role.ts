import { randomBytes } from 'node:crypto'
import { askVault } from './vault-api.ts'
import { withClient } from './with-client.ts'

/** The mount, token role and password policy that `provision` makes. */
const MOUNT = 'database'
const PASSWORDS = 'rekey-database'

export type DatabaseRole = {
  mount: string
  role: string
  owner: string
  /** The database as clients reach it: without user and password. */
  endpoint: string
  /** The DSN of a login without any right, which counts sessions. */
  sessions: string
  /** Sets fields of the Vault role anew. */
  set(settings: DatabaseRoleSettings): Promise<void>
  /** Ends its logins, and drops what was made for it. */
  drop(): Promise<void>
}

export type DatabaseRoleSettings = {
  default_ttl?: string
  max_ttl?: string
  creation_statements?: string[]
  revocation_statements?: string[]
}

/** Makes a role of Vault's database secrets engine in a database, as docs/guides/vault-database.md says it. */
export async function makeDatabaseRole(
  { postgresUrl, vault }: { postgresUrl: string; vault: { addr: string; token: string } },
  name: string,
  settings: DatabaseRoleSettings = {},
): Promise<DatabaseRole> {
  const role = `rekey-${name}`
  const [owner, manager, looker] = [`${name}_owner`, `${name}_vault`, `${name}_sessions`]
  const [password, lookerPassword] = [randomBytes(18).toString('hex'), randomBytes(18).toString('hex')]
  const ask = (method: 'POST' | 'DELETE', path: string, body?: unknown) =>
    askVault(vault.addr, vault.token, method, path, body)
  const url = new URL(postgresUrl)
  await withClient(postgresUrl, async (client) => {
    await client.query(`create role ${owner} nologin`)
    await client.query(`create role ${manager} login createrole password '${password}'`)
    await client.query(`grant ${owner} to ${manager} with admin option`)
    await client.query(`grant pg_signal_backend to ${manager}`)
    await client.query(`create role ${looker} login password '${lookerPassword}'`)
  })
  await ask('POST', `${MOUNT}/config/${name}`, {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: [role],
    connection_url: `postgresql://{{username}}:{{password}}@${url.host}${url.pathname}?sslmode=disable`,
    username: manager,
    password,
    password_policy: PASSWORDS,
    password_authentication: 'scram-sha-256',
  })
  let written: DatabaseRoleSettings = {
    default_ttl: '5m',
    max_ttl: '30d',
    creation_statements: [
      `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE ${owner}`,
      `ALTER ROLE "{{name}}" SET role = '${owner}'`,
    ],
    revocation_statements: [
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'`,
      'DROP ROLE IF EXISTS "{{name}}"',
    ],
  }
  const set = async (changed: DatabaseRoleSettings) => {
    written = { ...written, ...changed }
    await ask('POST', `${MOUNT}/roles/${role}`, { db_name: name, ...written })
  }
  await set(settings)

  const as = (user: string, secret: string) => {
    const dsn = new URL(postgresUrl)
    dsn.username = user
    dsn.password = secret
    return dsn.href
  }
  return {
    mount: MOUNT,
    role,
    owner,
    endpoint: as('', ''),
    sessions: as(looker, lookerPassword),
    set,
    async drop() {
      await ask('POST', `sys/leases/revoke-prefix/${MOUNT}/creds/${role}`, { sync: true })
      await ask('DELETE', `${MOUNT}/roles/${role}`)
      await ask('DELETE', `${MOUNT}/config/${name}`)
      await withClient(postgresUrl, async (client) => {
        await client.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = any($1)', [
          [manager, looker],
        ])
        await client.query(`drop role ${owner}, ${manager}, ${looker}`)
      })
    },
  }
}
