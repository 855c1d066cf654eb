import { setTimeout as delay } from 'node:timers/promises'
import { loginOf, tryValue } from '@rekey/backend-postgres'
import { type Authority, type Call, Secret, type StoredValue } from '@rekey/contracts'
import type { DatabaseRoleSettings } from '@rekey/local'
import { call, safeErrorOf, startFaultProxy } from '@rekey/testing'
import pg from 'pg'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { type DatabaseRoleUnderTest, givenDatabaseRole } from '../test/given-database-role.ts'
import { withToken } from './client.ts'

const stack = inject('stack')

async function given(settings?: DatabaseRoleSettings): Promise<DatabaseRoleUnderTest> {
  const made = await givenDatabaseRole(stack, settings)
  onTestFinished(() => made.close())
  return made
}

/** Minted, kept in a store, and known to the ledger. */
async function mint(
  { another, keyIds }: DatabaseRoleUnderTest,
  generation: number,
  by: Authority = another,
): Promise<StoredValue> {
  const minted = await mintOnly(by, generation)
  await by.keep?.(minted.keyId, call('r.stage'))
  keyIds[generation] = minted.keyId
  return { generation, ...minted }
}

async function mintOnly(by: Authority, generation: number, bound: Call = call('r.stage')) {
  if (!by.mint || !by.list) throw new Error('it cannot mint')
  return by.mint(await by.list(bound), bound, generation)
}

const urgent = (): Call => ({ ...call('r.stage'), urgent: true })

/** A client with a value, as an application has it. */
async function session({ value }: StoredValue) {
  const { username, password, host, port, dbname } = loginOf(value) ?? {}
  const client = new pg.Client({ user: username, password, host, port, database: dbname } as pg.ClientConfig)
  const over = new Promise<void>((resolve) => client.on('end', resolve))
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, { over })
}

const verdictOf = async ({ value }: StoredValue) =>
  (await tryValue(value, AbortSignal.timeout(5_000))).verdict

/** Where the root token is the rotator's: what is asked of a role is asked of whoever may do all. */
const asRoot = () => withToken({ addr: stack.vaultAddr, token: Secret.of(stack.vaultRootToken) })

describe('a login', () => {
  test('is one line of JSON that nodes can try, acts as the owner, and has the user and the lease for a name', async () => {
    const g = await given()
    const value = await mint(g, 1)
    const { username = '', password = '', ...place } = loginOf(value.value) ?? {}
    const server = new URL(g.role.endpoint)
    expect(place).toEqual({
      host: server.hostname,
      port: Number(server.port),
      dbname: server.pathname.slice(1),
      sslmode: 'disable',
    })
    expect(password).toMatch(/^[A-Za-z0-9]{40}$/)
    expect(value.keyId).toMatch(new RegExp(`^${username}/[A-Za-z0-9]{20,}$`))
    expect(username).toMatch(/^v-token-re-/)
    const client = await session(value)
    const { rows } = await client.query('select session_user::text, current_user::text')
    await client.end()
    expect(rows).toEqual([{ session_user: username, current_user: g.role.owner }])
  })

  test('ends by itself where nobody keeps it, and lives on where somebody does', async () => {
    const g = await given({ default_ttl: '2s' })
    const lost = { generation: 1, ...(await mintOnly(g.another, 1)) }
    expect(await verdictOf(lost)).toBe('accepted')
    await expect.poll(() => verdictOf(lost), { timeout: 15_000 }).toBe('refused')
    const error = await safeErrorOf(g.another.keep?.(lost.keyId, call('r.stage')) ?? Promise.resolve())
    expect(error).toMatchObject({ code: 'not_allowed_now', message: expect.stringContaining('Roll back') })
    const kept = await mint(g, 1)
    await delay(4_000)
    expect(await verdictOf(kept)).toBe('accepted')
  })

  test("outlives the rotator's own token", async () => {
    const g = await given()
    const { body } = await g.root('POST', 'auth/token/create', { policies: ['rekey-rotator'] })
    const rotator = String((body as { auth?: { client_token?: string } }).auth?.client_token)
    const mine = g.as({ vault: withToken({ addr: stack.vaultAddr, token: Secret.of(rotator) }) })
    const value = await mint(g, 1, mine)
    expect((await g.root('POST', 'auth/token/revoke', { token: rotator })).status).toBe(204)
    await delay(1_000)
    expect(await verdictOf(value)).toBe('accepted')
    expect(await g.another.list?.(call('r.list'))).toEqual([value.keyId])
  })

  test('that an answer was lost of ends at once, and not only when its time is over', async () => {
    const g = await given({ default_ttl: '600s' })
    // The role, the list, the token, and then the login.
    g.faults.loseReply(4)
    expect((await safeErrorOf(mintOnly(g.authority, 1))).retryable).toBe(true)
    g.faults.heal()
    await expect.poll(() => g.another.list?.(call('r.list')), { timeout: 10_000 }).toEqual([])
  })

  test('that nobody kept is waited for, but not in an emergency', async () => {
    const g = await given({ default_ttl: '600s' })
    await mintOnly(g.another, 1)
    const minting = g.another.mint?.([], call('r.stage'), 1) ?? Promise.resolve()
    const error = await safeErrorOf(minting)
    expect(error).toMatchObject({
      code: 'backend_unavailable',
      message: expect.stringMatching(/nobody has kept/),
    })
    expect((await g.another.mint?.([], urgent(), 1))?.keyId).not.toBe('')
  })
})

describe('sessions', () => {
  test('are counted by generation, and end with it', async () => {
    const g = await given()
    const [one, two] = [await mint(g, 1), await mint(g, 2)]
    const [old, young] = [await session(one), await session(two)]
    const again = await session(one)
    const count = async (generation: number) => g.another.sessions?.(generation, call('r.look'))
    expect([await count(1), await count(2), await count(3)]).toEqual([2, 1, 0])
    for (const _twice of [1, 2]) await g.another.revoke?.(1, call('r.revoke'))
    await Promise.all([old.over, again.over])
    expect([await count(1), await count(2)]).toEqual([0, 1])
    await young.query('select 1')
    await young.end()
  })
})

describe('nothing is made', () => {
  const refused = async (g: DatabaseRoleUnderTest, by: Authority = g.another) => {
    const error = await safeErrorOf(mintOnly(by, 1))
    expect(
      (await g.root('GET', `sys/leases/lookup/${g.role.mount}/creds/${g.role.role}?list=true`)).status,
    ).toBe(404)
    return error
  }

  test.each<[string, DatabaseRoleSettings, string]>([
    ['what was lost would live for long', { default_ttl: '1h' }, 'default_ttl=5m'],
    ['it would end too early', { max_ttl: '59m' }, 'max_ttl=3600s'],
    ['its sessions would go on', { revocation_statements: [] }, 'pg_terminate_backend'],
  ])('where %s', async (_, settings, says) => {
    const error = await refused(await given(settings))
    expect(error).toMatchObject({ code: 'invalid_configuration' })
    expect(error.message).toContain(says)
  })

  test('with a password that can be guessed', async () => {
    const g = await given()
    // Of a connection what is not said again is left as it was.
    const config = `${g.role.mount}/config/${g.role.role.replace('rekey-', '')}`
    await g.root('POST', config, { plugin_name: 'postgresql-database-plugin', password_policy: '' })
    const error = await safeErrorOf(mintOnly(g.another, 1))
    expect(error).toMatchObject({ code: 'invalid_configuration' })
    expect(error.message).toContain('password_policy')
    await expect.poll(() => g.another.list?.(call('r.list')), { timeout: 10_000 }).toEqual([])
  })

  test("by tokens that end with the rotator's own, or before the login", async () => {
    const g = await given()
    const policies = { allowed_policies: ['rekey-database'], token_no_default_policy: true }
    const name = g.credential
    const tokenRole = async (settings: object) => {
      await g.root('POST', `auth/token/roles/${name}`, { ...policies, ...settings })
      return g.as({ vault: asRoot(), tokenRole: name })
    }
    onTestFinished(async () => void (await g.root('DELETE', `auth/token/roles/${name}`)))
    expect((await refused(g, await tokenRole({ orphan: false }))).message).toContain('orphan=true')
    const batch = await tokenRole({ orphan: true, token_type: 'batch', renewable: false })
    expect((await refused(g, batch)).message).toContain('token_type=default-service')
    const short = await refused(
      g,
      await tokenRole({ orphan: true, token_type: 'default-service', token_explicit_max_ttl: '1h' }),
    )
    expect(short).toMatchObject({ code: 'invalid_configuration' })
    expect(short.message).toContain('live for 3600 s, and a login needs 7200 s')
  })

  test('of a role that Rekey was given no right to', async () => {
    const g = await given()
    const foreign = g.as({ role: 'shop' })
    g.keyIds[1] = 'user/lease'
    const works = [
      () => foreign.list?.(call('r.list')),
      () => foreign.mint?.([], call('r.stage'), 2),
      () => foreign.mint?.([], urgent(), 2),
      () => foreign.keep?.('user/lease', call('r.stage')),
      () => foreign.revoke?.(1, call('r.revoke')),
    ]
    for (const work of works)
      expect((await safeErrorOf(work() ?? Promise.resolve())).code).toBe('permission_denied')
  })

  test('of a role that is not there, nor by a token role that is not', async () => {
    const g = await given()
    const nobody = g.as({ tokenRole: 'rekey-nobody', vault: asRoot() })
    expect((await safeErrorOf(mintOnly(nobody, 1))).code).toBe('not_found')
    await g.root('DELETE', `${g.role.mount}/roles/${g.role.role}`)
    expect((await safeErrorOf(mintOnly(g.another, 1))).code).toBe('not_found')
  })
})

describe('a role that was changed meanwhile', () => {
  test('stops the next value, but not in an emergency', async () => {
    const g = await given()
    await mint(g, 1)
    await g.role.set({ max_ttl: '30m' })
    expect((await safeErrorOf(mintOnly(g.another, 2))).code).toBe('invalid_configuration')
    const next = await mintOnly(g.another, 2, urgent())
    await g.another.keep?.(next.keyId, urgent())
    expect(await verdictOf({ generation: 2, ...next })).toBe('accepted')
  })

  test('is noticed when the login is kept, and mended there', async () => {
    const g = await given()
    const { keyId } = await mintOnly(g.another, 1)
    await g.role.set({ max_ttl: '30m' })
    const keep = async () => g.another.keep?.(keyId, call('r.stage'))
    const error = await safeErrorOf(keep())
    expect(error).toMatchObject({ code: 'invalid_configuration' })
    expect(error.message).toContain('live for 1800 s, and leaseMax is 1h')
    await g.role.set({ max_ttl: '1h' })
    await keep()
  })
})

test('a lease that is longer than any token may live is said with the setting that helps', async () => {
  const g = await given({ max_ttl: '0' })
  const error = await safeErrorOf(mintOnly(g.as({ leaseMax: '900d' }), 1))
  expect(error).toMatchObject({ code: 'invalid_configuration' })
  expect(error.message).toContain('vault auth tune -max-lease-ttl=')
})

test('a sealed Vault is waited for', async () => {
  const sealed = await startFaultProxy(stack.vaultAddr)
  onTestFinished(() => sealed.close())
  const headers = { 'content-type': 'application/json' }
  sealed.arm('every', { kind: 'answer', status: 503, headers, body: '{"errors":["Vault is sealed"]}' })
  const g = await given()
  g.keyIds[1] = 'user/lease'
  const there = g.as({ vault: withToken({ addr: sealed.url, token: Secret.of('root') }) })
  const works = [
    () => mintOnly(there, 2),
    () => there.keep?.('user/lease', call('r.stage')),
    () => there.revoke?.(1, call('r.revoke')),
  ]
  for (const work of works) {
    const error = await safeErrorOf(work() ?? Promise.resolve())
    expect(error).toMatchObject({ code: 'sealed', retryable: true })
  }
})

describe('a database that refuses', () => {
  test('to drop the user: says why, and the login ends when that is mended', async () => {
    const g = await given()
    const value = await mint(g, 1)
    const user = loginOf(value.value)?.username ?? ''
    const schema = `left_${g.role.owner}`
    await g.admin(`create schema ${schema} authorization "${user}"`)
    const error = await safeErrorOf(g.another.revoke?.(1, call('r.revoke')) ?? Promise.resolve())
    expect(error).toMatchObject({ code: 'invalid_configuration', message: expect.stringContaining('2BP01') })
    await g.admin(`drop schema ${schema}`)
    await g.another.revoke?.(1, call('r.revoke'))
    expect(await verdictOf(value)).toBe('refused')
  })

  test("Vault's own user: nothing is made, and it is said whose right it is", async () => {
    const g = await given()
    const manager = g.role.owner.replace(/_owner$/, '_vault')
    await g.admin(`alter role ${manager} nocreaterole`)
    const error = await safeErrorOf(mintOnly(g.another, 1))
    expect(error).toMatchObject({
      code: 'permission_denied',
      message: expect.stringContaining("Vault's own user"),
    })
    await g.admin(`alter role ${manager} createrole`)
    await mint(g, 1)
  })

  test('the looker: no count is said to be none', async () => {
    const g = await given()
    await mint(g, 1)
    const looker = g.role.owner.replace(/_owner$/, '_sessions')
    await g.admin(`alter role ${looker} nologin`)
    const error = await safeErrorOf(g.another.sessions?.(1, call('r.look')) ?? Promise.resolve(0))
    expect(error.code).toBe('permission_denied')
  })
})
