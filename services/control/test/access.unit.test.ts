import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { DeniedRequest, Ledger } from '@rekey/ledger'
import { loadPolicies, type PolicySource, readPolicyFolder } from '@rekey/policy'
import { createLogger, readConfig } from '@rekey/runtime'
import { createLocalJWKSet } from 'jose'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { mustSayItsAction } from '../src/access/authorize.ts'
import { Config } from '../src/config.ts'
import { buildControl } from '../src/control.ts'
import { AUDIENCE, givenIssuer, ISSUER, SHARED } from './issuer.ts'

// Cedar is compiled when it is first used, which takes a second of the processor.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const POLICIES = fileURLToPath(new URL('../../../examples/policies/', import.meta.url))
const logger = createLogger({ service: 'control' })
logger.level = 'silent'
const provider = await givenIssuer()
const find = createLocalJWKSet(await provider.jwks())

let denied: DeniedRequest[]
let orders: unknown[][]
let unreachable: boolean
const ledger = {
  onJournal: () => ({ close: async () => undefined }),
  listCredentials: async () => [],
  listNodes: async () => [],
  subjectOf: async (of: { credential?: string; rotation?: string }) =>
    of.credential === 'key' || of.rotation === 'key-g2'
      ? { name: 'key', workload: 'chat', environment: 'prod', owner: 'team' }
      : undefined,
  recordDenials: async (entries: DeniedRequest[]) => {
    if (unreachable) throw new Error('the database is away')
    denied.push(...entries)
  },
  blastRadius: async () => 3,
  findApproval: async () => undefined,
  listApprovals: async () => [],
  order: async (_once: unknown, give: (orders: object) => unknown) =>
    give({
      start: async (...order: unknown[]) => {
        orders.push(order)
        return { rotation: 'key-g2', how: 'opened' }
      },
    }),
} as unknown as Ledger

let app: Awaited<ReturnType<typeof buildControl>>
const shipped = readPolicyFolder(POLICIES)
const shippedPolicies = loadPolicies(shipped)
const build = (source?: PolicySource) =>
  buildControl({
    ledger,
    logger,
    token: SHARED,
    policies: source ? loadPolicies(source) : shippedPolicies,
    issuer: {
      issuer: ISSUER,
      audience: AUDIENCE,
      nameClaim: 'sub',
      groupsClaim: 'groups',
      skewMs: 0,
      keys: { find, refresh: async () => true, close: () => undefined },
    },
  })
beforeEach(async () => {
  denied = []
  orders = []
  unreachable = false
  app = await build()
})
afterEach(() => app.close())

type Headers = Record<string, string>
const as = async (sub: string, ...groups: string[]): Promise<Headers> => ({
  authorization: `Bearer ${await provider.token({ sub, groups })}`,
})
const operator = (name?: string): Headers => ({
  authorization: `Bearer ${SHARED.reveal()}`,
  ...(name !== undefined && { 'x-rekey-actor': name }),
})
const contain = (headers: Headers, name = 'key') =>
  app.inject({ method: 'POST', url: `/v1/credentials/${name}/contain`, payload: { reason: 'x' }, headers })

test('who may gives an order under the name in the token, whatever else is told', async () => {
  const answer = await contain({
    ...(await as('ana', 'rekey-on-call')),
    'x-rekey-actor': 'operator/ben, or not',
  })
  expect(answer.statusCode).toBe(200)
  expect(orders).toMatchObject([['key', { cause: { actor: 'oidc/ana' } }]])
  expect(denied).toEqual([])
})

test('who may not is told what, who decided and what to do; and it is journalled', async () => {
  const answer = await contain(await as('ci-7', 'rekey-deployers', 'rekey-on-call'))
  expect(answer.statusCode).toBe(403)
  expect(answer.headers['content-type']).toContain('application/problem+json')
  expect(answer.json()).toMatchObject({
    code: 'denied',
    detail: 'User::"ci-7" may not contain Credential::"key": denied by deployers-give-no-orders',
    remedy: expect.stringContaining('rekey policy test'),
    denied: {
      principal: 'User::"ci-7"',
      action: 'contain',
      resource: 'Credential::"key"',
      policies: ['deployers-give-no-orders'],
    },
  })
  expect(orders).toEqual([])
  expect(denied).toEqual([
    {
      actor: 'oidc/ci-7',
      principal: { type: 'User', id: 'ci-7' },
      action: 'contain',
      resource: { type: 'Credential', id: 'key' },
      policies: ['deployers-give-no-orders'],
      errors: [],
      digest: expect.stringMatching(/^sha-256:/),
      times: 1,
    },
  ])
})

test('where nothing permits it, that is said', async () => {
  const answer = await contain(await as('eve'))
  expect(answer.json().detail).toBe('User::"eve" may not contain Credential::"key": no policy permits it')
  expect(denied).toMatchObject([{ policies: [] }])
})

test('a denied caller in a loop is written down once, and counted', async () => {
  const headers = await as('eve')
  for (let n = 0; n < 30; n++) expect((await contain(headers)).statusCode).toBe(403)
  expect(denied).toMatchObject([{ times: 1 }])
  await app.close()
  expect(denied).toMatchObject([{ times: 1 }, { times: 29 }])
})

test('one that makes up names of things is cut off, and the rest is counted', async () => {
  const headers = await as('eve')
  const say = (name: string) =>
    app.inject({ method: 'POST', url: `/v1/nodes/${name}/gone`, payload: { reason: 'x' }, headers })
  for (let n = 0; n < 25; n++) expect((await say(`n${n}`)).statusCode).toBe(403)
  await app.close()
  expect(denied).toHaveLength(11)
  expect(denied.at(-1)).toMatchObject({ actor: 'control', principal: null, times: 15 })
})

test('a denial that cannot be journalled stays a denial', async () => {
  unreachable = true
  expect((await contain(await as('eve'))).statusCode).toBe(403)
  expect(orders).toEqual([])
})

test('what does not exist is judged, too: only who may act on all is told that it does not exist', async () => {
  expect((await contain(await as('eve'), 'nothing')).json().denied.resource).toBe('Credential::"(unknown)"')
  const rollback = (headers: Headers) =>
    app.inject({ method: 'POST', url: '/v1/rotations/no-g1/rollback', payload: { reason: 'x' }, headers })
  expect((await rollback(await as('eve'))).statusCode).toBe(403)
})

test('a rotation is judged as its credential', async () => {
  const answer = await app.inject({
    method: 'POST',
    url: '/v1/rotations/key-g2/hold',
    payload: { reason: 'x' },
    headers: await as('eve'),
  })
  expect(answer.json().denied).toMatchObject({ action: 'hold', resource: 'Credential::"key"' })
})

test('to compare documents is less than to apply them', async () => {
  const send = async (apply: unknown) =>
    app.inject({
      method: 'POST',
      url: '/v1/configuration',
      payload: { documents: [{}], apply },
      headers: await as('ci-7', 'rekey-deployers'),
    })
  expect((await send(true)).json()).toMatchObject({ status: 403, denied: { action: 'apply' } })
  // Allowed, and then the document is found wrong.
  expect((await send(false)).statusCode).toBe(422)
  for (const other of ['true', 1, null, undefined]) expect((await send(other)).statusCode).toBe(400)
})

test('an error in a policy is a no, and says so', async () => {
  const { files, entities } = shipped
  const text =
    '@id("breaks") forbid (principal, action == Action::"contain", resource) when { 9223372036854775807 + (if resource.owner == "x" then 0 else 1) > 0 };'
  await app.close()
  app = await build({ files: [...files, { name: 'x.cedar', text }], ...(entities && { entities }) })
  const answer = await contain(await as('ana', 'rekey-on-call'))
  expect(answer.json()).toMatchObject({ status: 403, denied: { policies: ['breaks'] } })
  expect(answer.json().detail).toContain('could not be evaluated')
  expect(denied).toMatchObject([{ policies: ['breaks'], errors: [expect.stringContaining('overflow')] }])
})

describe('the shared token, with policies', () => {
  test('is an operator by the name that was told', async () => {
    expect((await contain(operator('ana'))).statusCode).toBe(200)
    expect(orders).toMatchObject([['key', { cause: { actor: 'operator/ana' } }]])
  })

  test('orders nothing without a name, and may look', async () => {
    expect((await contain(operator())).json()).toMatchObject({ code: 'malformed_request' })
    expect(orders).toEqual([])
    expect((await app.inject({ url: '/v1/nodes', headers: operator() })).statusCode).toBe(200)
  })

  test('cannot pretend to be somebody of the issuer', async () => {
    expect((await contain(operator('oidc/ana'))).statusCode).toBe(400)
    expect(orders).toEqual([])
  })

  test('may nothing where the bootstrap policy was deleted', async () => {
    const { files, entities } = shipped
    const rest = files.filter(({ name }) => name !== 'bootstrap.cedar')
    await app.close()
    app = await build({ files: rest, ...(entities && { entities }) })
    expect((await contain(operator('ana'))).statusCode).toBe(403)
    for (let n = 0; n < 15; n++) await contain(operator(`ana${n}`))
    await app.close()
    // Names that are made up are counted as one.
    expect(denied).toHaveLength(11)
  })
})

test('without any token nothing is asked of the policies', async () => {
  expect((await contain({})).statusCode).toBe(401)
  expect((await contain({ authorization: `Bearer ${await provider.token({ exp: 1 })}` })).statusCode).toBe(
    401,
  )
  expect(denied).toEqual([])
})

test('every route under /v1 refuses somebody who may nothing', async () => {
  const headers = await as('eve')
  const document = (await app.inject({ url: '/openapi.json' })).json()
  const bodies: Record<string, object> = {
    '/v1/configuration': { documents: [], apply: false },
    '/v1/rules/test': { event: {} },
    '/v1/inventory/scans': {},
    '/v1/credentials/{name}/drift/look': {},
    '/v1/credentials/{name}/drift/settle': { reason: 'x', seen: {} },
    '/v1/who': { digests: ['a'.repeat(64)] },
    '/v1/nodes/{name}/token': { workload: 'chat' },
    '/v1/nodes/{name}/excuse': { reason: 'x', forMs: 60_000 },
    '/v1/recovery/{name}/release': {},
    '/v1/pause': { reason: 'x', forMs: 60_000 },
    '/v1/credentials/{name}/pause': { reason: 'x', forMs: 60_000 },
  }
  let asked = 0
  for (const [url, methods] of Object.entries<object>(document.paths)) {
    if (!url.startsWith('/v1/')) continue
    for (const method of Object.keys(methods)) {
      const answer = await app.inject({
        method: method.toUpperCase() as 'GET' | 'POST',
        url: url.replaceAll(/\{\w+\}/g, 'x'),
        headers,
        ...(method === 'post' && { payload: bodies[url] ?? { reason: 'x' } }),
      })
      expect(answer.statusCode, `${method} ${url} ${answer.body}`).toBe(403)
      asked++
    }
  }
  expect(asked).toBeGreaterThan(20)
  expect((await app.inject({ method: 'HEAD', url: '/v1/nodes', headers })).statusCode).toBe(403)
})

test('a route that declares no action cannot be added', () => {
  const route = { method: 'GET' as const, url: '/v1/new', handler: async () => '' }
  expect(() => mustSayItsAction(route)).toThrow('the route GET /v1/new declares no action')
})

describe('a start is refused', () => {
  const base = { DATABASE_URL: 'postgres://x', CONTROL_TOKEN_FILE: 't' }
  const oidc = { CONTROL_OIDC_ISSUER: ISSUER, CONTROL_OIDC_AUDIENCE: AUDIENCE }
  const dir = { CONTROL_POLICIES_DIR: POLICIES }

  test.each<[string, Record<string, string>, string]>([
    ['with no way in', { DATABASE_URL: 'postgres://x' }, 'nobody could come in'],
    ['with an issuer and no policies', { ...base, ...oidc }, 'not everybody may do everything'],
    [
      'with an issuer for every audience',
      { ...base, ...dir, CONTROL_OIDC_ISSUER: ISSUER },
      'CONTROL_OIDC_AUDIENCE',
    ],
    [
      'with keys over plain HTTP',
      { ...base, ...dir, ...oidc, CONTROL_OIDC_JWKS_URL: 'http://login.example.org/jwks' },
      'https',
    ],
    [
      'with an issuer that is no address, and no keys',
      { ...base, ...dir, ...oidc, CONTROL_OIDC_ISSUER: 'me' },
      'https',
    ],
    [
      'with keys in two places',
      { ...base, ...dir, ...oidc, CONTROL_OIDC_JWKS_URL: 'https://x.org/', CONTROL_OIDC_JWKS_FILE: 'f' },
      'or neither',
    ],
    [
      'with client certificates and no policies',
      { ...base, CONTROL_TLS_CLIENT_CA_FILE: 'ca' },
      'CONTROL_POLICIES_DIR',
    ],
    [
      'with break-glass tokens and no trace of them',
      { ...base, ...dir, CONTROL_BREAK_GLASS_KEYS_FILE: 'keys' },
      'CONTROL_SPOOL_DIR',
    ],
    [
      'with break-glass tokens and no policies',
      { ...base, CONTROL_BREAK_GLASS_KEYS_FILE: 'keys', CONTROL_SPOOL_DIR: 'spool' },
      'CONTROL_POLICIES_DIR',
    ],
    ['with a key and no certificate', { ...base, CONTROL_TLS_KEY_FILE: 'k' }, 'CONTROL_TLS_CERT_FILE'],
  ])('%s', (_what, env, why) => {
    expect(() => readConfig(Config, env)).toThrow(why)
  })

  test('and not as it always was, nor with the shared token left out', () => {
    expect(readConfig(Config, base)).toMatchObject({ CONTROL_PORT: 7400, CONTROL_OIDC_NAME_CLAIM: 'sub' })
    const { CONTROL_TOKEN_FILE: _left, ...without } = base
    expect(readConfig(Config, { ...without, ...oidc, ...dir }).CONTROL_TOKEN_FILE).toBeUndefined()
    const file = { CONTROL_OIDC_JWKS_FILE: 'f', CONTROL_OIDC_ISSUER: 'me' }
    expect(readConfig(Config, { ...base, ...oidc, ...dir, ...file }).CONTROL_OIDC_ISSUER).toBe('me')
  })

  test('by control itself, too', async () => {
    await expect(buildControl({ ledger, logger })).rejects.toThrow('nobody could come in')
    const tls = { cert: '', key: '', clientCa: readFileSync(`${POLICIES}entities.json`, 'utf8') }
    await expect(buildControl({ ledger, logger, tls })).rejects.toThrow('set CONTROL_POLICIES_DIR')
  })
})
