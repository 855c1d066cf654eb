import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { secretOf } from '@rekey/backend-postgres'
import type { AgentToFleet, Secret } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, inject, onTestFailed, test } from 'vitest'
import { startNodeAt } from './node-bench.ts'
import { type Pgbouncer, startPgbouncer } from './pgbouncer.ts'
import { startPoolerClients } from './pooler-clients.ts'
import { until } from './until.ts'

/**
 * The real agent, PgBouncer as in the example, and two roles of a real PostgreSQL that take turns: uneven generations are the
 * one, even ones the other. In order: each test goes on where the one before it ended.
 */

const stack = inject('stack')
const [FIRST, SECOND] = ['pooled_a', 'pooled_b']
const roleOf = (generation: number) => (generation % 2 === 1 ? FIRST : SECOND)
/** With all that an ini file, a connection string or a shell could take for something else. */
const passwordOf = (generation: number) =>
  `g${generation} it's ''so''; #%include = \\ "q" $\{x} ${'p'.repeat(22)}`

type NackMessage = Extract<AgentToFleet, { type: 'nack' }>

let server: pg.Client
let place: { host: string; port: number; dbname: string }
let pooler: Pgbouncer
const endedLogs: string[] = []
let node: Awaited<ReturnType<typeof startNodeAt<Pgbouncer>>>

function loginOfGeneration(generation: number): Secret {
  const [username, password] = [roleOf(generation), passwordOf(generation)]
  return secretOf({ username, password, ...place, sslmode: 'disable' })
}

/** What the authority does before nodes move to a generation. */
const install = (generation: number) =>
  server.query(
    `alter role ${roleOf(generation)} login password ${server.escapeLiteral(passwordOf(generation))}`,
  )
/** What it does after nobody works with it any more. */
const revoke = (generation: number) => server.query(`alter role ${roleOf(generation)} nologin password null`)
const sessionsOf = async (generation: number): Promise<number> => {
  const { rows } = await server.query(
    "select count(*)::int as n from pg_stat_activity where usename = $1 and application_name <> 'rekey-try'",
    [roleOf(generation)],
  )
  return rows[0].n
}

async function throughPooler<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: pooler.url })
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
const userNow = () =>
  throughPooler(async (client) => (await client.query('select session_user::text as who')).rows[0].who)

const nackOf = (revision: number) =>
  until('the nack', () =>
    node.fleet.messages.find((m): m is NackMessage => m.type === 'nack' && m.revision === revision),
  )

/** Takes the pooler's node from one generation to the next one, as a rotation does. */
async function change(to: number, watched?: ReturnType<typeof startPoolerClients>): Promise<void> {
  await install(to)
  await node.acked(node.order([to - 1, to], { floor: to - 1 }))
  await until('nobody works with the old login', async () => (await sessionsOf(to - 1)) === 0)
  await revoke(to - 1)
  const before = watched?.transactions() ?? 0
  const ack = await node.acked(node.order([to], { refuse: [to - 1], floor: to }))
  expect(ack.refusals).toEqual([{ generation: to - 1, tried: 'refused' }])
  if (watched) await until('work goes on', () => watched.transactions() > before + 50)
}

function showLogsOnFailure(): void {
  onTestFailed(async () => {
    process.stderr.write(`${[...node.logs().slice(-20), (await pooler.log()).slice(-3_000)].join('\n')}\n`)
  })
}

beforeAll(async () => {
  const url = await createDatabase({ postgres: { url: stack.postgresUrl } }, 'pooled')
  const { hostname, port, pathname } = new URL(url)
  place = { host: hostname, port: Number(port), dbname: pathname.slice(1) }
  server = new pg.Client({ connectionString: url })
  await server.connect()
  for (const role of [FIRST, SECOND]) await server.query(`create role ${role} nologin`)
  pooler = await startPgbouncer()
  node = await startNodeAt(pooler, pooler.adapter, loginOfGeneration)
  node.start()
})

afterAll(async () => {
  await node?.stop()
  await server?.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = any($1)', [
    [FIRST, SECOND],
  ])
  for (const role of [FIRST, SECOND]) await server?.query(`drop role if exists ${role}`)
  await server?.end()
})

test('a pooler that knew no login lets applications in with the first one', async () => {
  showLogsOnFailure()
  await install(1)
  await node.acked(node.order([1]))
  expect(await userNow()).toBe(FIRST)
  expect((await stat(pooler.files.login)).mode & 0o777).toBe(0o640)
})

test('ten changes under 16 clients fail no transaction, and leave no session of the old role', async () => {
  showLogsOnFailure()
  const clients = startPoolerClients({ url: pooler.url, count: 16 })
  await until('all work', () => clients.as(FIRST) > 100)
  const started = performance.now()
  for (let generation = 2; generation <= 11; generation += 1) await change(generation, clients)
  const { transactions, failures } = await clients.stop()
  const seconds = ((performance.now() - started) / 1_000).toFixed(1)
  process.stderr.write(
    `pgbouncer: 10 changes in ${seconds} s, ${transactions} transactions, ${failures.length} failed\n`,
  )
  expect(failures).toEqual([])
  expect(transactions).toBeGreaterThan(500)
  expect([clients.as(FIRST), clients.as(SECOND)].every((count) => count > 50)).toBe(true)
})

test('a transaction that runs while the login changes ends well, as who began it', async () => {
  showLogsOnFailure()
  await throughPooler(async (client) => {
    await client.query('begin')
    await client.query('create temporary table kept (n int) on commit drop')
    await install(12)
    await node.acked(node.order([11, 12], { floor: 11 }))
    expect(await userNow()).toBe(SECOND)
    await client.query('insert into kept values (1)')
    const { rows } = await client.query(
      'select session_user::text as who, count(*)::int as n from kept group by 1',
    )
    expect(rows).toEqual([{ who: FIRST, n: 1 }])
    await until('no other session is left', async () => (await sessionsOf(11)) === 1)
    await client.query('commit')
    await until('its session has ended', async () => (await sessionsOf(11)) === 0)
    expect((await client.query('select session_user::text as who')).rows).toEqual([{ who: SECOND }])
  })
  await revoke(11)
  await node.acked(node.order([12], { refuse: [11], floor: 12 }))
})

test('another password of the same user is taken, too, and connections with the old one end', async () => {
  showLogsOnFailure()
  const clients = startPoolerClients({ url: pooler.url, count: 4 })
  // Each has its connection, so that none logs in between the change at the server and the one here.
  await until('all work', async () => (await sessionsOf(12)) === 4 && clients.transactions() > 100)
  await install(14)
  const [{ at }] = (await server.query('select clock_timestamp() as at')).rows
  await node.acked(node.order([14], { refuse: [12], floor: 14 }))
  await until('only new connections are left', async () => {
    const old = 'select from pg_stat_activity where usename = $1 and backend_start < $2'
    return (await server.query(old, [SECOND, at])).rowCount === 0
  })
  const before = clients.transactions()
  await until('work goes on', () => clients.transactions() > before + 50)
  expect((await clients.stop()).failures).toEqual([])
})

test('a login that the server refuses from here does not take the place of one that works', async () => {
  showLogsOnFailure()
  const clients = startPoolerClients({ url: pooler.url, count: 4 })
  await until('all work', () => clients.transactions() > 100)
  const revision = node.order([14, 15], { floor: 14 })
  expect(await nackOf(revision)).toMatchObject({ reason: 'value_refused', generation: 15 })
  expect(await userNow()).toBe(SECOND)
  expect((await clients.stop()).failures).toEqual([])
  await install(15)
  await node.acked(node.order([14, 15], { floor: 14 }))
  await revoke(14)
  await node.acked(node.order([15], { refuse: [14], floor: 15 }))
  expect(await userNow()).toBe(FIRST)
})

test('a pooler that is killed comes back with the last login, and needs no agent for it', async () => {
  showLogsOnFailure()
  await node.kill()
  endedLogs.push(...node.logs())
  await pooler.kill()
  await pooler.start()
  expect(await userNow()).toBe(FIRST)
  node.fleet.drop()
  node.start()
  await node.acked(node.order([15], { floor: 15 }))
})

test('a pooler that is down is said so, and the ack comes when it is back', async () => {
  showLogsOnFailure()
  await install(16)
  await pooler.kill()
  const revision = node.order([15, 16], { floor: 15 })
  expect(await nackOf(revision)).toMatchObject({
    reason: 'adapter_failed',
    detail: "PgBouncer's admin console: ECONNREFUSED",
  })
  await pooler.start()
  await node.acked(revision)
  expect(await userNow()).toBe(SECOND)
})

test('a pooler that hangs is said so, and the ack comes when it goes on', async () => {
  showLogsOnFailure()
  pooler.signal('SIGSTOP')
  const revision = node.order([15], { floor: 15 })
  expect((await nackOf(revision)).detail).toMatch(/no answer within/)
  pooler.signal('SIGCONT')
  await node.acked(revision)
  expect(await userNow()).toBe(FIRST)
})

test('a file that was changed by hand is written again', async () => {
  showLogsOnFailure()
  const right = await readFile(pooler.files.login, 'utf8')
  // Twice: a new session with the fleet also has it written, but not so soon again.
  for (const text of ['; nothing', '; nothing again']) {
    await writeFile(pooler.files.login, text)
    await until('as it was', async () => (await readFile(pooler.files.login, 'utf8')) === right, 5_000)
    await until('let in', async () => (await userNow().catch(() => undefined)) === FIRST)
  }
})

test('with nothing to present nobody is let in', async () => {
  showLogsOnFailure()
  await revoke(16)
  await node.acked(node.order([], { refuse: [16], floor: 15 }))
  await expect(userNow()).rejects.toThrow(/no such database/)
  await node.acked(node.order([15], { floor: 15 }))
  expect(await userNow()).toBe(FIRST)
})

describe('what is set up wrong is said, with what to do about it', () => {
  const config = () => readFile(pooler.files.config, 'utf8')
  let right: string
  beforeAll(async () => {
    right = await config()
  })
  afterEach(async () => {
    await writeFile(pooler.files.config, right)
    await pooler.kill()
    await pooler.start()
    await node.acked(node.order([15], { floor: 15 }))
  })

  test.each<[what: string, change: (text: string) => string, detail: RegExp]>([
    [
      'a file that is not included',
      (text) => text.replace(/^%include.*$/m, '[databases]'),
      /must %include it/,
    ],
    [
      'a second line for the alias',
      (text) => `${text}\n[databases]\nshop = host=127.0.0.1 user=somebody\n`,
      /no line of its own for this alias/,
    ],
    [
      'a log that would have passwords in it',
      (text) => text.replace('verbose = 0', 'verbose = 1'),
      /set verbose = 0/,
    ],
    [
      'a user who may not',
      (text) => text.replace('admin_users = rekey', 'admin_users = dba'),
      /not allowed|no such|denied/,
    ],
  ])('%s', async (_what, change, detail) => {
    showLogsOnFailure()
    // What it starts with must not be what it is given next, nor be written again by the agent meanwhile.
    node.pause()
    await pooler.kill()
    await writeFile(pooler.files.login, '')
    await writeFile(pooler.files.config, change(right))
    await pooler.start()
    node.resume()
    const revision = node.order([15], { floor: 15 })
    expect(await nackOf(revision)).toMatchObject({
      reason: 'adapter_failed',
      detail: expect.stringMatching(detail),
    })
  })
})

test('no password is in a log, a journal or what the fleet was told', async () => {
  await node.kill('SIGTERM')
  const journal = await readFile(join(node.dir, 'state', 'journal-chat.json'), 'utf8')
  const told = [...endedLogs, ...node.logs(), journal, JSON.stringify(node.fleet.messages)].join('\n')
  expect(told).toContain('the desired state is reached')
  for (const password of pooler.passwords) expect(told).not.toContain(password)
  for (const text of [told, await pooler.log()]) {
    expect(text).not.toContain("it's")
    expect(text).not.toContain('p'.repeat(22))
  }
})
