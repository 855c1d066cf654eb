import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Secret, type StoredValue } from '@rekey/contracts'
import { call, proxyFaults, safeErrorOf, startFaultProxy, testAuthority } from '@rekey/testing'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { appRoleSecretId } from './approle-secret-id.ts'
import { connectVault, type VaultClient, withToken } from './client.ts'

const { vaultAddr, vaultRootToken, identitiesDir } = inject('stack')
const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
const asRotator = (addr: string) =>
  connectVault({
    addr,
    roleId: readFileSync(join(identitiesDir, 'rotator', 'vault-role-id'), 'utf8').trim(),
    secretIdFile: join(identitiesDir, 'rotator', 'vault-secret-id'),
    timeoutMs: 5_000,
  })
const rotator = asRotator(vaultAddr)

/** Of applications: the rotator's policy is about this mount. */
const MOUNT = 'workloads'
const GOOD = { policies: [], tokenTtlSeconds: 60, tokenMaxTtlSeconds: 600, secretIdTtlSeconds: 0 }

type Options = {
  keptWithinMs?: number
  endTokens?: boolean
  /** Who works on the second way; the rotator. */
  as?: VaultClient
  mount?: string
  settings?: Partial<typeof GOOD>
}

/** A fresh role, and a way to it that can be broken. */
async function givenRole(options: Options = {}) {
  const { keptWithinMs = 700, endTokens = false, as = rotator, mount = MOUNT, settings } = options
  const place = { mount, role: `app-${randomUUID()}` }
  const credential = `kit-${randomUUID()}`
  await root.appRoleWrite(place.role, { ...GOOD, ...settings }, { mount })
  const proxy = await startFaultProxy(vaultAddr)
  const broken = asRotator(proxy.url)
  await broken.lookupSelf()
  const keyIds: Record<number, string> = {}
  const of = (client: VaultClient) =>
    appRoleSecretId(
      client,
      { ...place, tokenMaxMs: 600_000, endTokens },
      { credential, keyIds, keptWithinMs },
    )
  const roleId = await root.appRoleId(place.role, { mount })
  return {
    authority: of(broken),
    another: of(as),
    place,
    credential,
    roleId,
    keyIds,
    faults: proxyFaults(proxy, {
      status: 429,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ errors: ['request path "auth/x": rate limit quota exceeded'] }),
    }),
    provider: {
      keep({ generation, keyId }: StoredValue) {
        keyIds[generation] = keyId
      },
      foreignMint: async () => (await root.secretIdMake(place, { metadata: {}, uses: 0 })).accessor,
      tellsForeign: true,
      async use(secretId: Secret) {
        await root.tryLogin({ mount, roleId, secretId })
      },
    },
    async close() {
      broken.close()
      await proxy.close()
      await root.appRoleDelete(place.role, { mount })
    },
  }
}

testAuthority('vault-approle-secret-id', givenRole)

/** For one test alone, with a first secret id. */
async function givenSecretId(options?: Options) {
  const given = await givenRole(options)
  onTestFinished(() => given.close())
  const mint = async (generation: number) => {
    const { list, mint: make } = given.another
    if (!list || !make) throw new Error('it cannot mint')
    const minted = await make(await list(call('r.list')), call('r.stage'), generation)
    given.provider.keep({ generation, ...minted })
    return { generation, ...minted }
  }
  return { ...given, mint, value: await mint(1) }
}

type Answer = {
  status: number
  auth?: { client_token?: string }
  data?: { keys?: string[]; meta?: Record<string, string> | null }
}

/** What no client of ours has a verb for. */
async function ask(
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
  token = vaultRootToken,
): Promise<Answer> {
  const reply = await fetch(`${vaultAddr}/v1/${path}`, {
    method,
    headers: token === '' ? {} : { 'X-Vault-Token': token },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { ...((await reply.json().catch(() => ({}))) as object), status: reply.status }
}

/** As a client that keeps its token. */
async function logIn(
  { roleId, place }: { roleId: string; place: { mount: string } },
  { value }: StoredValue,
) {
  const body = { role_id: roleId, secret_id: value.reveal() }
  const { auth } = await ask('POST', `auth/${place.mount}/login`, body, '')
  return String(auth?.client_token)
}

const lives = async (token: string) =>
  (await ask('GET', 'auth/token/lookup-self', undefined, token)).status === 200

/** The accessors of the tokens that were issued for one generation. */
async function tokensFor(mark: string): Promise<string[]> {
  const { data } = await ask('GET', 'auth/token/accessors?list=true')
  const found: string[] = []
  for (const accessor of data?.keys ?? []) {
    const { data: facts } = await ask('POST', 'auth/token/lookup-accessor', { accessor })
    if (facts?.meta?.rekey === mark) found.push(accessor)
  }
  return found
}

describe('a secret id', () => {
  test('is the value alone, as clients read it from a file, and bears the mark of its generation', async () => {
    const { value, place, credential } = await givenSecretId()
    expect(value.value.reveal()).toMatch(/^[0-9a-f-]{36}$/)
    const facts = await root.secretIdLookup(place, value.keyId)
    expect(facts?.metadata).toEqual({ rekey: `${credential}/1` })
  })

  test('leaves no token behind when it is tried', async () => {
    const { value, another, credential } = await givenSecretId()
    await another.install?.(value, call('r.install'))
    expect(await another.probe(value.value, call('r.probe'))).toEqual([
      { endpoint: 'vault', verdict: 'accepted', seen: 'logged in' },
    ])
    expect(await tokensFor(`${credential}/1`)).toEqual([])
  })

  test('is used when somebody logs in with it, and not by what is done with the token', async () => {
    const given = await givenSecretId()
    const { value, another } = given
    const lastUsed = async () => another.lastUsed?.(1, call('r.look'))
    expect(await lastUsed()).toBeNull()
    const token = await logIn(given, value)
    const first = await lastUsed()
    expect(first).toBeGreaterThan(Date.now() - 5_000)
    expect(await lives(token)).toBe(true)
    expect(await lastUsed()).toBe(first)
    await logIn(given, value)
    expect(await lastUsed()).toBeGreaterThan(first ?? Infinity)
  })

  test('that Vault never made is refused; where nobody can ask, nothing is shown', async () => {
    const { another } = await givenSecretId()
    const never = Secret.of(randomUUID())
    expect(await another.probe(never, call('r.probe'))).toEqual([
      { endpoint: 'vault', verdict: 'refused', seen: 'invalid role or secret ID' },
    ])
    const nowhere = appRoleSecretId(
      rotator,
      { mount: MOUNT, role: 'nobody', tokenMaxMs: 60_000, endTokens: false },
      { credential: 'c', keyIds: {} },
    )
    expect(await nowhere.probe(never, call('r.probe'))).toMatchObject([{ verdict: 'unknown' }])
  })

  test('that was given up before its name was known is revoked by its mark, and nothing beside it', async () => {
    const { another, keyIds, mint, place, provider, value } = await givenSecretId()
    const theirs = await provider.foreignMint()
    const second = await mint(2)
    delete keyIds[1]
    await another.revoke?.(1, call('r.revoke'))
    expect(await another.probe(value.value, call('r.probe'))).toMatchObject([{ verdict: 'refused' }])
    expect((await root.secretIdList(place)).toSorted()).toEqual([theirs, second.keyId].toSorted())
  })
})

describe('another credential of the same role', () => {
  test('keeps what it made meanwhile', async () => {
    const { another, place, keyIds } = await givenSecretId()
    const other = appRoleSecretId(
      rotator,
      { ...place, tokenMaxMs: 600_000, endTokens: false },
      { credential: 'other', keyIds: {}, keptWithinMs: 0 },
    )
    const theirs = await other.mint?.([...Object.values(keyIds)], call('r.stage'), 2)
    const ours = await another.mint?.([...Object.values(keyIds)], call('r.stage'), 2)
    expect(await root.secretIdList(place)).toEqual(
      expect.arrayContaining([theirs?.keyId ?? '', ours?.keyId ?? '']),
    )
  })
})

describe('tokens that were issued for it', () => {
  test('outlive it, until they are ended', async () => {
    const given = await givenSecretId({ as: root, endTokens: true })
    const { value, another, mint } = given
    const next = await mint(2)
    const [old, young] = [await logIn(given, value), await logIn(given, next)]
    await another.revoke?.(1, call('r.revoke'))
    expect(await lives(old)).toBe(true)
    for (const _twice of [1, 2]) await another.endSessions?.(1, call('r.revoke'))
    expect(await lives(old)).toBe(false)
    expect(await lives(young)).toBe(true)
  })

  test('are not said to be ended by who has no right to see them', async () => {
    const { another } = await givenSecretId({ endTokens: true })
    const ending = another.endSessions?.(1, call('r.revoke')) ?? Promise.resolve()
    expect((await safeErrorOf(ending)).code).toBe('permission_denied')
  })

  test('are let alone where nothing asks for it', async () => {
    expect((await givenSecretId()).another.endSessions).toBeUndefined()
  })
})

describe('a role that was changed meanwhile', () => {
  test('gets its next value, and nothing is said of the use of the old one', async () => {
    const { another, mint, place } = await givenSecretId()
    await root.appRoleWrite(place.role, { ...GOOD, tokenMaxTtlSeconds: 0 }, place)
    expect((await mint(2)).keyId).not.toBe('')
    const asked = another.lastUsed?.(1, call('r.look')) ?? Promise.resolve()
    expect(await safeErrorOf(asked)).toMatchObject({ code: 'invalid_configuration' })
  })
})

describe('nothing is made', () => {
  const refused = async (options: Options) => {
    const given = await givenRole({ as: root, ...options })
    onTestFinished(() => given.close())
    const { another, place } = given
    const error = await safeErrorOf(another.mint?.([], call('r.stage'), 1) ?? Promise.resolve())
    expect(await root.secretIdList(place)).toEqual([])
    return error
  }

  test.each<[string, Partial<typeof GOOD>, string]>([
    ['the end of its use would not be seen', { tokenMaxTtlSeconds: 0 }, 'token_max_ttl=600s'],
    ['it would end by itself', { secretIdTtlSeconds: 86_400 }, 'secret_id_ttl=0'],
  ])('where %s', async (_, settings, says) => {
    const error = await refused({ settings })
    expect(error).toMatchObject({ code: 'invalid_configuration' })
    expect(error.message).toContain(says)
  })

  test('where clients with an old one would lock out the others', async () => {
    const mount = `lockout-${randomUUID()}`
    await ask('POST', `sys/auth/${mount}`, { type: 'approle' })
    onTestFinished(async () => void (await ask('DELETE', `sys/auth/${mount}`)))
    const error = await refused({ mount })
    expect(error).toMatchObject({ code: 'invalid_configuration' })
    expect(error.message).toContain(`vault auth tune -user-lockout-disable=true ${mount}/`)
  })

  test('for a role that is not there', async () => {
    const nobody = appRoleSecretId(
      rotator,
      { mount: MOUNT, role: 'nobody', tokenMaxMs: 60_000, endTokens: false },
      { credential: 'c', keyIds: {} },
    )
    for (const work of [() => nobody.list?.(call('r.list')), () => nobody.mint?.([], call('r.stage'), 1)])
      expect((await safeErrorOf(work() ?? Promise.resolve())).code).toBe('not_found')
  })

  test("for Rekey's own roles, which the rotator has no right to", async () => {
    const own = appRoleSecretId(
      rotator,
      { mount: 'approle', role: 'rekey-fleet', tokenMaxMs: 60_000, endTokens: false },
      { credential: 'c', keyIds: {} },
    )
    for (const work of [() => own.list?.(call('r.list')), () => own.mint?.([], call('r.stage'), 1)])
      expect((await safeErrorOf(work() ?? Promise.resolve())).code).toBe('permission_denied')
  })
})
