import { secretOf } from '@rekey/backend-postgres'
import type { Secret } from '@rekey/contracts'
import pg from 'pg'
import type { Servers } from '../servers.ts'
import { startNodeAt, startPgbouncer } from './agent-bench.ts'
import { type Long, outbound, type Subject, until } from './subject.ts'

const ROLES = ['bench_pooled_a', 'bench_pooled_b']

/** PgBouncer before PostgreSQL, with two roles that take turns. Each request is a transaction of one statement. */
export async function pooler(servers: Servers): Promise<Subject> {
  const database = await servers.createDatabase()
  const { hostname, port, pathname } = new URL(database)
  const place = { host: hostname, port: Number(port), dbname: pathname.slice(1) }
  const roleOf = (generation: number) => ROLES[generation % 2] ?? ''
  const passwordOf = (generation: number) => `password-of-generation-${generation}`
  const server = new pg.Client({ connectionString: database })
  await server.connect()
  for (const role of ROLES) await server.query(`create role ${role} nologin`)
  const valueAt = (generation: number): Secret =>
    secretOf({
      username: roleOf(generation),
      password: passwordOf(generation),
      ...place,
      sslmode: 'disable',
    })
  const software = await startPgbouncer()
  const node = await startNodeAt(software, software.adapter, valueAt)
  const clients = new Map<number, Promise<pg.Client>>()
  const connected = async () => {
    const client = new pg.Client({ connectionString: software.url })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  const clientOf = (number: number) => {
    const known = clients.get(number) ?? connected()
    clients.set(number, known)
    return known
  }
  const sessionsOf = async (generation: number) => {
    const { rows } = await server.query(
      "select count(*)::int as n from pg_stat_activity where usename = $1 and application_name <> 'rekey-try'",
      [roleOf(generation)],
    )
    return rows[0].n
  }
  /** A transaction goes on with the old login, and is not waited for here. */
  let running = 0
  return outbound(node, {
    async ask(number) {
      try {
        const client = await clientOf(number)
        await client.query('begin')
        await client.query('select session_user')
        await client.query('commit')
        return true
      } catch {
        // One that lost its connection makes another one.
        clients.delete(number)
        return false
      }
    },
    async long(): Promise<Long> {
      const client = await connected()
      await client.query('begin')
      await client.query('create temporary table kept (n int) on commit drop')
      running = 1
      let isOver = false
      client.on('end', () => {
        isOver = true
      })
      return {
        isOver: () => isOver,
        get intact() {
          return client
            .query('insert into kept values (1)')
            .then(() => client.query('commit'))
            .then(
              () => true,
              () => false,
            )
            .finally(() => {
              running = 0
              return client.end().catch(() => {})
            })
        },
      }
    },
    async install(to) {
      await server.query(`alter role ${roleOf(to)} login password '${passwordOf(to)}'`)
    },
    unused: async (old) => {
      await until('nobody else works with the old login', async () => (await sessionsOf(old)) <= running)
    },
    async revoke(old) {
      await server.query(`alter role ${roleOf(old)} nologin password null`)
    },
    async stop() {
      for (const client of clients.values()) await (await client).end().catch(() => {})
      await node.stop()
      await server.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = any($1)', [
        ROLES,
      ])
      for (const role of ROLES) await server.query(`drop role if exists ${role}`)
      await server.end()
    },
  })
}
