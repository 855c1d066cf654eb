import { loginOf } from '@rekey/backend-postgres'
import { type Call, Secret } from '@rekey/contracts'
import type { StaticRoleSettings } from '@rekey/local'
import { call, safeErrorOf } from '@rekey/testing'
import pg from 'pg'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { asRoot, given, mint, mintOnly, readCreds, verdictOf } from '../test/static-calls.ts'

const stack = inject('stack')

const urgent = (): Call => ({ ...call('r.stage'), urgent: true })

describe('a password', () => {
  test('is one line of JSON that nodes can try, acts as the owner, and has the role and the moment for a name', async () => {
    const g = await given()
    const value = await mint(g, 1)
    const { username = '', password = '', ...place } = loginOf(value.value) ?? {}
    const server = new URL(g.pair.endpoint)
    expect(place).toEqual({
      host: server.hostname,
      port: Number(server.port),
      dbname: server.pathname.slice(1),
      sslmode: 'disable',
    })
    expect(username).toBe(g.pair.users[0])
    expect(password).toMatch(/^[A-Za-z0-9]{40}$/)
    expect(value.keyId).toMatch(new RegExp(`^${g.pair.roles[0]}/2\\d{3}-[0-9T:.-]+Z$`))
    const client = await g.session(value.value)
    const { rows } = await client.query('select session_user::text, current_user::text')
    expect(rows).toEqual([{ session_user: username, current_user: g.pair.owner }])
  })

  test('is that of the other role each time, and the old one is refused', async () => {
    const g = await given()
    const users: (string | undefined)[] = []
    for (const generation of [1, 2, 3, 4]) {
      const value = await mint(g, generation)
      users.push(loginOf(value.value)?.username)
      await g.another.install?.(value, call('r.install'))
      await g.another.revoke?.(generation - 1, call('r.revoke'))
    }
    const [a, b] = g.pair.users
    expect(users).toEqual([a, b, a, b])
  })
})

describe('somebody else', () => {
  test('who has set a password in the database itself is found out', async () => {
    const g = await given()
    const one = await mint(g, 1)
    await g.admin(`alter role ${g.pair.users[0]} password 'another'`)
    const error = await safeErrorOf(g.another.install?.(one, call('r.install')) ?? Promise.resolve())
    expect(error.code).toBe('foreign_writer')
    await g.another.revoke?.(1, call('r.revoke'))
  })

  test('who is logged in as the idle role keeps its password, but in an emergency', async () => {
    const g = await given()
    const { username, password } = await readCreds(g)
    const { value } = await mintOnly(g.another, 1)
    const { host, port, dbname } = loginOf(value) ?? {}
    expect(username).toBe(g.pair.users[0])
    expect(
      await verdictOf({ value: Secret.of(JSON.stringify({ host, port, dbname, username, password })) }),
    ).toBe('refused')
    const client = await g.session(value)
    const error = await safeErrorOf(mintOnly(g.another, 1))
    expect(error).toMatchObject({ code: 'foreign_writer' })
    expect(error.message).toContain('1 open session,')
    expect(await verdictOf({ value })).toBe('accepted')
    const next = await mintOnly(g.another, 1, urgent())
    expect([await verdictOf({ value }), await verdictOf(next)]).toEqual(['refused', 'accepted'])
    await client.query('select 1')
  })

  test('who has changed the password in use gets nobody off: the next has the other role, also after a rollback', async () => {
    const g = await given()
    const one = await mint(g, 1)
    const client = await g.session(one.value)
    await mint(g, 2)
    await g.another.revoke?.(2, call('r.revoke.g2'))
    await g.root('POST', `${g.pair.mount}/rotate-role/${g.pair.roles[0]}`)
    const minted = await mintOnly(g.another, 3, urgent())
    expect(loginOf(minted.value)?.username).toBe(g.pair.users[1])
    g.keyIds[3] = minted.keyId
    expect(await g.another.sessions?.(1, call('r.look'))).toBe(1)
    await g.another.endSessions?.(1, call('r.revoke.g1'))
    await client.over
  })
})

describe('sessions', () => {
  test('are counted by generation, outlive the password, and are ended where it must be', async () => {
    const g = await given()
    const [one, two] = [await mint(g, 1), await mint(g, 2)]
    const [old, young] = [await g.session(one.value), await g.session(two.value)]
    const count = async (generation: number) => g.another.sessions?.(generation, call('r.look'))
    expect([await count(1), await count(2), await count(3)]).toEqual([1, 1, 0])
    await g.another.revoke?.(1, call('r.revoke'))
    await old.query('select 1')
    expect(await count(1)).toBe(1)
    for (const _twice of [1, 2]) await g.another.endSessions?.(1, call('r.revoke'))
    await old.over
    expect([await count(1), await count(2)]).toEqual([0, 1])
    await young.query('select 1')
  })

  test('of a role that a later generation has are that one’s', async () => {
    const g = await given()
    await mint(g, 1)
    await mint(g, 2)
    await g.another.revoke?.(1, call('r.revoke'))
    const three = await mint(g, 3)
    const client = await g.session(three.value)
    expect(await g.another.sessions?.(1, call('r.look'))).toBe(0)
    await g.another.endSessions?.(1, call('r.revoke'))
    await client.query('select 1')
    expect(await g.another.sessions?.(3, call('r.look'))).toBe(1)
  })
})

describe('nothing is changed', () => {
  test.each<[string, StaticRoleSettings, string]>([
    ['Vault would change the password early', { rotation_period: '60d' }, 'rotation_period=7776000s'],
    ['a schedule would change it', { rotation_schedule: '0 0 * * SAT' }, 'by a schedule'],
  ])('where %s', async (_, settings, says) => {
    const g = await given(settings)
    const before = await readCreds(g)
    const error = await safeErrorOf(mintOnly(g.another, 1))
    expect(error).toMatchObject({ code: 'invalid_configuration' })
    expect(error.message).toContain(says)
    expect((await readCreds(g)).password).toBe(before.password)
  })

  test('where both are roles of one user, which Vault allows', async () => {
    const g = await given()
    const { mount, roles, users, connection } = g.pair
    await g.root('DELETE', `${mount}/static-roles/${roles[1]}`)
    const same = { db_name: connection, username: users[0], rotation_period: '90d' }
    expect((await g.root('POST', `${mount}/static-roles/${roles[1]}`, same)).status).toBe(204)
    const error = await safeErrorOf(mintOnly(g.another, 1))
    expect(error).toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringContaining('one user'),
    })
  })

  test('of roles that Rekey was given no right to', async () => {
    const g = await given()
    const foreign = g.as({ roles: ['shop-a', 'shop-b'] })
    g.keyIds[1] = 'shop-a/then'
    const works = [
      () => foreign.list?.(call('r.list')),
      () => foreign.mint?.([], call('r.stage'), 2),
      () => foreign.mint?.([], urgent(), 2),
      () => foreign.revoke?.(1, call('r.revoke')),
    ]
    for (const work of works)
      expect((await safeErrorOf(work() ?? Promise.resolve())).code).toBe('permission_denied')
  })

  test('by tokens whose policy is about something else', async () => {
    const g = await given()
    const name = `wrong-${g.pair.connection}`
    await g.root('POST', `auth/token/roles/${name}`, {
      allowed_policies: ['default'],
      orphan: true,
      renewable: false,
    })
    onTestFinished(async () => void (await g.root('DELETE', `auth/token/roles/${name}`)))
    const before = await readCreds(g)
    const error = await safeErrorOf(mintOnly(g.as({ vault: asRoot(), tokenRole: name }), 1))
    expect(error.code).toBe('permission_denied')
    expect((await readCreds(g)).password).toBe(before.password)
    expect((await safeErrorOf(mintOnly(g.as({ tokenRole: name }), 1))).code).toBe('permission_denied')
  })

  test('of a role that is not there', async () => {
    const g = await given()
    await g.root('DELETE', `${g.pair.mount}/static-roles/${g.pair.roles[1]}`)
    expect((await safeErrorOf(mintOnly(g.another, 1))).code).toBe('not_found')
  })
})

test('a password that can be guessed is given to nobody', async () => {
  const g = await given()
  const { mount, connection } = g.pair
  const config = { plugin_name: 'postgresql-database-plugin', allowed_roles: g.pair.roles }
  const known = (await g.another.list?.(call('r.list'))) ?? []
  const attempt = async () => g.another.mint?.(known, call('r.stage'), 1)
  // Of a connection what is not said again is left as it was.
  await g.root('POST', `${mount}/config/${connection}`, { ...config, password_policy: '' })
  const error = await safeErrorOf(attempt())
  expect(error).toMatchObject({ code: 'invalid_configuration' })
  expect(error.message).toContain('password_policy')
  await g.root('POST', `${mount}/config/${connection}`, { ...config, password_policy: 'rekey-database' })
  const minted = await attempt()
  expect(loginOf(minted?.value ?? Secret.of(''))?.password).toMatch(/^[A-Za-z0-9]{40}$/)
})

describe('a database that refuses', () => {
  test("Vault's own user: it is said whose right it is, and when that is mended there is a value", async () => {
    const g = await given()
    const known = (await g.another.list?.(call('r.list'))) ?? []
    const [user] = g.pair.users
    await g.admin(`revoke ${user} from ${g.pair.manager}`)
    const error = await safeErrorOf(g.another.mint?.(known, call('r.stage'), 1) ?? Promise.resolve())
    expect(error).toMatchObject({
      code: 'permission_denied',
      message: expect.stringContaining("Vault's own user"),
    })
    await g.admin(`grant ${user} to ${g.pair.manager} with admin true, inherit false, set false`)
    const minted = await g.another.mint?.(known, call('r.stage'), 1)
    expect(await verdictOf({ value: minted?.value ?? Secret.of('') })).toBe('accepted')
  })

  test('to answer: the call is given up in time, and the next one gets a value', async () => {
    const g = await given()
    const known = (await g.another.list?.(call('r.list'))) ?? []
    const [user] = g.pair.users
    const holder = new pg.Client({ connectionString: stack.postgresUrl })
    await holder.connect()
    await holder.query('begin')
    await holder.query(`alter role ${user} connection limit 50`)
    const minting = safeErrorOf(g.another.mint?.(known, call('r.stage'), 1) ?? Promise.resolve())
    const error = await minting.finally(() => holder.end())
    expect(error).toMatchObject({
      code: 'backend_unavailable',
      message: expect.stringContaining('Vault tries again by itself'),
    })
    expect(await g.another.list?.(call('r.list'))).toEqual(known)
    const minted = await g.another.mint?.(known, call('r.stage'), 1)
    expect(await verdictOf({ value: minted?.value ?? Secret.of('') })).toBe('accepted')
  })

  test('the watcher: no count is said to be none', async () => {
    const g = await given()
    await mint(g, 1)
    await g.admin(`alter role ${g.pair.connection}_sessions nologin`)
    const error = await safeErrorOf(g.another.sessions?.(1, call('r.look')) ?? Promise.resolve(0))
    expect(error.code).toBe('permission_denied')
  })
})
