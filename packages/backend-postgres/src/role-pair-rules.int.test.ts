import { Secret } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import { call, safeErrorOf } from '@rekey/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { givenPair, type PairUnderTest } from '../test/given-pair.ts'
import { loginOf, rolePairAuthority } from './index.ts'

let given: PairUnderTest
beforeEach(async () => {
  given = await givenPair(inject('stack').postgresUrl)
})
afterEach(() => given.close())

const slots = () =>
  given.admin('select role, state, generation from rekey.role_slot where pair = $1 order by role', [
    given.pair.pair,
  ])
const untouched = () =>
  ['a', 'b'].map((slot) => ({ role: `${given.pair.pair}_${slot}`, state: 'free', generation: null }))
const enabled = async () =>
  (
    await given.admin('select rolname from pg_roles where rolname like $1 and rolcanlogin', [
      `${given.pair.pair}__`,
    ])
  ).length

/** A client with a value, as an application has it. */
async function session(value: Secret): Promise<pg.Client & { over: Promise<void> }> {
  const { username, password, host, port, dbname } = loginOf(value) ?? {}
  const client = new pg.Client({ user: username, password, host, port, database: dbname } as pg.ClientConfig)
  const over = new Promise<void>((resolve) => client.on('end', resolve))
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, { over })
}

describe('a pair that is none', () => {
  const faults: [fault: string, sql: (pair: string) => string, says: RegExp][] = [
    ['only one is a member of something', (p) => `grant pg_monitor to ${p}_a`, /only \w+_a: pg_monitor/],
    ['only one has a setting', (p) => `alter role ${p}_b set search_path = x`, /only \w+_b: search_path=x/],
    ['only one has a limit', (p) => `alter role ${p}_b connection limit 3`, /only \w+_b: connection limit 3/],
    [
      'only one was granted something itself',
      (p) => `grant select on rekey.role_slot to ${p}_a`,
      /only \w+_a: has rights on/,
    ],
    ['one is not a member of the owner', (p) => `revoke ${p}_owner from ${p}_a`, /_a is not a member of/],
    ['one does not act as the owner', (p) => `alter role ${p}_a reset role`, /_a has no setting role=/],
  ]
  test.each(faults)('%s: it says so, and changes nothing', async (_, sql, says) => {
    const { authority, admin, pair, value } = given
    await admin(sql(pair.pair))
    const one = value(1)
    const error = await safeErrorOf(authority.install(one, call('i')), one.value)
    expect(error).toMatchObject({ code: 'roles_differ', message: expect.stringMatching(says) })
    expect(await slots()).toEqual(untouched())
    expect(await enabled()).toBe(0)
  })

  test('what already serves can be ended nevertheless', async () => {
    const { authority, admin, pair, value } = given
    const one = value(1)
    await authority.install(one, call('i'))
    await admin(`grant pg_monitor to ${pair.pair}_a`)
    await authority.suspend(1, call('s'))
    await authority.revoke(1, call('r'))
    expect(await enabled()).toBe(0)
  })
})

describe('a wrong target', () => {
  const at = (change: (url: URL) => void) => {
    const url = new URL(given.pair.connection)
    change(url)
    return rolePairAuthority(given.spec, { connection: () => Secret.of(url.href) })
  }

  test('another database than the one of the endpoints', async () => {
    const one = given.value(1)
    const elsewhere = at((url) => {
      url.pathname = '/postgres'
    })
    const error = await safeErrorOf(elsewhere.install(one, call('i')), one.value)
    expect(error.code).toBe('invalid_configuration')
    expect(error.message).toMatch(/database postgres/)
    // Without a fence nothing is ended either.
    expect((await safeErrorOf(elsewhere.revoke(1, call('r')))).code).toBe('not_found')
  })

  test('a database that has a fence of its own, and not that of these roles', async () => {
    const { pair } = given
    const url = await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, `two_${pair.pair}`)
    const other = await givenPair(url)
    try {
      const elsewhere = rolePairAuthority(
        { ...given.spec, endpoints: other.spec.endpoints },
        { connection: () => Secret.of(new URL(new URL(url).pathname, given.pair.connection).href) },
      )
      const error = await safeErrorOf(elsewhere.make(1, call('m')) as Promise<Secret>)
      expect(error).toMatchObject({
        code: 'invalid_configuration',
        message: expect.stringMatching(/not fenced in database two_/),
      })
    } finally {
      await other.close()
    }
  })

  test('a password that is not its own', async () => {
    const error = await safeErrorOf(
      at((url) => {
        url.password = 'planted-0e1f2a3b4c5d6e'
      }).suspend(1, call('s')),
      Secret.of('planted-0e1f2a3b4c5d6e'),
    )
    expect(error).toMatchObject({ code: 'permission_denied', message: expect.stringContaining('28P01') })
  })

  test('a manager without its rights: says which, and leaves the fence as it was', async () => {
    const { admin, authority, pair, value } = given
    await admin(`alter role ${pair.pair}_manager nocreaterole`)
    const one = value(1)
    const error = await safeErrorOf(authority.install(one, call('i')), one.value)
    expect(error).toMatchObject({ code: 'permission_denied', message: expect.stringContaining('CREATEROLE') })
    expect(await slots()).toEqual(untouched())
  })
})

describe('the roles take turns', () => {
  const made = async (generation: number) => {
    const value = await given.another.make(generation, call('m'))
    return { generation, keyId: 'k', value, role: loginOf(value)?.username.slice(-1) }
  }

  test('a value names the role that was free when it was made, whatever its number', async () => {
    const { another } = given
    const first = await made(1)
    await another.install(first, call('i'))
    const second = await made(2)
    await another.install(second, call('i'))
    expect([first.role, second.role]).toEqual(['a', 'b'])
    // The successor was given up; the base stays.
    await another.revoke(2, call('r'))
    const third = await made(3)
    await another.install(third, call('i'))
    expect(third.role).toBe('b')
    expect(await another.probe(first.value, call('p'))).toMatchObject([{ verdict: 'accepted' }])
  })

  test('what was never installed is in no way of others, and cannot come back', async () => {
    const { another } = given
    await another.install(await made(1), call('i'))
    const given2 = await made(2)
    const given3 = await made(3)
    await another.install(given3, call('i'))
    const password = Secret.of(loginOf(given2.value)?.password ?? '')
    expect((await safeErrorOf(another.install(given2, call('i')), password)).code).toBe('not_allowed_now')
    expect((await safeErrorOf(made(4))).code).toBe('not_allowed_now')
    expect(await enabled()).toBe(2)
  })

  test('a role that somebody else uses is not taken from them, though a generation was meant to have it', async () => {
    const { another, foreignInstall } = given
    await another.install(await made(1), call('i'))
    const second = await made(2)
    const theirs = given.value(2)
    await foreignInstall?.(theirs)
    const work = await session(theirs.value)
    expect((await safeErrorOf(another.install(second, call('i')))).code).toBe('foreign_writer')
    // As a rollback does it.
    await another.revoke(2, call('r'))
    await work.query('select 1')
    await (await session(theirs.value)).end()
    await work.end()
    expect((await safeErrorOf(another.install(second, call('i')))).code).toBe('not_allowed_now')
  })

  test('both act as the owner: what one makes, the other may drop', async () => {
    const { another, admin, pair } = given
    const [one, two] = [await made(1), await made(2)]
    await another.install(one, call('i'))
    await another.install(two, call('i'))
    await admin(`create schema ${pair.pair} authorization ${pair.owner}`)
    const [a, b] = [await session(one.value), await session(two.value)]
    await a.query(`create table ${pair.pair}.t ()`)
    const { rows } = await b.query(`select tableowner from pg_tables where schemaname = '${pair.pair}'`)
    expect(rows).toEqual([{ tableowner: pair.owner }])
    await b.query(`drop table ${pair.pair}.t`)
    await Promise.all([a.end(), b.end()])
  })
})

describe('sessions', () => {
  test('are counted by generation, live on after a suspension, and are ended where it must be', async () => {
    const { another, value } = given
    const [one, two] = [value(1), value(2)]
    await another.install(one, call('i'))
    await another.install(two, call('i'))
    const client = await session(one.value)
    expect(await another.sessions(1, call('n'))).toBe(1)
    expect(await another.sessions(2, call('n'))).toBe(0)
    await another.suspend(1, call('s'))
    await client.query('select 1')
    await another.revoke(1, call('r'))
    expect(await another.sessions(1, call('n'))).toBe(1)
    await another.endSessions(1, call('e'))
    await client.over
    expect(await another.sessions(1, call('n'))).toBe(0)
    await another.endSessions(1, call('e'))
  })

  test('that outlived their generation end before its role serves again', async () => {
    const { another, value } = given
    const one = value(1)
    await another.install(one, call('i'))
    const client = await session(one.value)
    await another.revoke(1, call('r'))
    await another.install(value(3), call('i'))
    await client.over
    await expect.poll(() => another.sessions(3, call('n'))).toBe(0)
  })
})

test('no password is ever sent to the server, only what it keeps of one', async () => {
  const { authority, sent } = given
  const value = await authority.make(1, call('m'))
  await authority.install({ generation: 1, keyId: 'k', value }, call('i'))
  await authority.probe(value, call('p'))
  await authority.revoke(1, call('r'))
  const password = loginOf(value)?.password ?? ''
  expect(password).toMatch(/^rk_/)
  expect(sent()).toContain('SCRAM-SHA-256$')
  expect(sent()).not.toContain(password)
})
