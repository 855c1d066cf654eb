import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GENESIS, toOcsf } from '@rekey/audit'
import { validator } from '@rekey/audit/validator'
import { openLedger } from '@rekey/ledger'
import { loadPolicies, readPolicyFolder } from '@rekey/policy'
import { createLogger } from '@rekey/runtime'
import { certificateAuthority } from '@rekey/testing/certificates'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { issuerKeys, type KeyPlace, type KeyTimes } from '../src/access/issuer-keys.ts'
import type { ControlOptions } from '../src/control.ts'
import { DOCUMENTS, type GivenControl, givenControl, TOKEN } from './given-control.ts'
import { AUDIENCE, type GivenIssuer, givenIssuer } from './issuer.ts'

/** Control on a real ledger, with an identity provider that answers over HTTP, and goes down. */

const policies = loadPolicies(
  readPolicyFolder(fileURLToPath(new URL('../../../examples/policies/', import.meta.url))),
)
const logger = createLogger({ service: 'control' })
logger.level = 'silent'

let provider: GivenIssuer
let server: Server
let port: number
let asked: string[]
const ends: (() => unknown)[] = []

beforeEach(async () => {
  provider = await givenIssuer()
  asked = []
  port = await listen(0)
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
  await down()
})

async function listen(at: number): Promise<number> {
  server = createServer(async (incoming, reply) => {
    asked.push(incoming.url ?? '')
    const base = `http://127.0.0.1:${port}`
    const answers: Record<string, () => unknown> = {
      '/jwks': () => provider.jwks(),
      '/.well-known/openid-configuration': () => ({ issuer: base, jwks_uri: `${base}/jwks` }),
      '/other/.well-known/openid-configuration': () => ({ issuer: base, jwks_uri: `${base}/jwks` }),
    }
    const answer = answers[incoming.url ?? '']
    reply.statusCode = answer ? 200 : 404
    reply.end(JSON.stringify(answer ? await answer() : {}))
  })
  await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function down(): Promise<void> {
  if (!server.listening) return
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

/** A control that trusts this provider. */
async function control(
  options: { place?: KeyPlace; times?: Partial<KeyTimes>; issuer?: string } & Pick<
    ControlOptions,
    'tls'
  > = {},
): Promise<GivenControl> {
  const place = options.place ?? { url: `http://127.0.0.1:${port}/jwks` }
  const keys = issuerKeys(place, logger, { againMs: 0, ...options.times })
  const issuer = {
    issuer: options.issuer ?? 'https://login.example.org',
    audience: AUDIENCE,
    nameClaim: 'sub',
    groupsClaim: 'groups',
    skewMs: 0,
    keys,
  }
  const given = await givenControl({ policies, issuer, ...(options.tls && { tls: options.tls }) })
  ends.push(() => given.close())
  return given
}

const get = (given: GivenControl, token: string) =>
  fetch(`${given.url}/v1/nodes`, { headers: { authorization: `Bearer ${token}` } })
const contain = (given: GivenControl, token: string) => order(given, token, 'contain')
async function order(given: GivenControl, token: string, verb: 'rotate' | 'contain') {
  const answer = await fetch(`${given.url}/v1/credentials/key/${verb}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'in a log' }),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

describe('keys of the issuer', () => {
  test('are read once, and again for a key that is new; one that was taken back ends with that', async () => {
    const given = await control({ times: { againMs: 0, refreshMs: 3_600_000 } })
    const old = await provider.token()
    expect((await get(given, old)).status).toBe(200)
    expect((await get(given, old)).status).toBe(200)
    expect(asked).toEqual(['/jwks'])
    await provider.newKey({ drop: true })
    expect((await get(given, await provider.token())).status).toBe(200)
    expect(asked).toEqual(['/jwks', '/jwks'])
    const answer = await get(given, old)
    expect(answer.status).toBe(401)
    expect(await answer.text()).toContain('a key that the issuer does not have')
  })

  test('that are made up do not become a flood at the issuer', async () => {
    const given = await control({ times: { againMs: 60_000 } })
    expect((await get(given, await provider.token())).status).toBe(200)
    for (let n = 0; n < 20; n++)
      expect((await get(given, await provider.token({}, { kid: `k${n}` }))).status).toBe(401)
    expect(asked).toEqual(['/jwks'])
  })

  test('go on working while the issuer is down, until they are a day old', async () => {
    const given = await control({ times: { refreshMs: 20 } })
    const token = await provider.token()
    expect((await get(given, token)).status).toBe(200)
    await down()
    // Some tries to read them anew have failed since.
    for (let n = 0; n < 5; n++) {
      expect((await get(given, token)).status).toBe(200)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    const strict = await control({ times: { staleMs: 0 } })
    expect((await get(strict, token)).status).toBe(503)
  })

  test('that were never read: 503 and no open door, the shared token lets in, and it heals by itself', async () => {
    await down()
    const given = await control()
    const answer = await get(given, await provider.token())
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({
      code: 'backend_unavailable',
      detail: expect.stringContaining('no token can be checked'),
    })
    expect((await get(given, TOKEN)).status).toBe(200)
    expect((await get(given, 'guessed')).status).toBe(401)
    await listen(port)
    expect((await get(given, await provider.token())).status).toBe(200)
  })

  test('are found by its openid-configuration, if that is its own', async () => {
    const base = `http://127.0.0.1:${port}`
    const given = await control({ place: { issuer: base }, issuer: base })
    expect((await get(given, await provider.token({ iss: base }))).status).toBe(200)
    expect(asked).toEqual(['/.well-known/openid-configuration', '/jwks'])
    const other = await control({ place: { issuer: `${base}/other` }, issuer: `${base}/other` })
    expect((await get(other, await provider.token({ iss: `${base}/other` }))).status).toBe(503)
  })

  test('may be in a file, which is read again for a new key', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'rekey-jwks-'))
    ends.push(() => rmSync(dir, { recursive: true }))
    const file = join(dir, 'jwks.json')
    writeFileSync(file, JSON.stringify(await provider.jwks()))
    const given = await control({ place: { file } })
    expect((await get(given, await provider.token())).status).toBe(200)
    await provider.newKey()
    expect((await get(given, await provider.token())).status).toBe(401)
    writeFileSync(file, JSON.stringify(await provider.jwks()))
    expect((await get(given, await provider.token())).status).toBe(200)
    writeFileSync(file, 'half a fi')
    expect((await get(given, await provider.token())).status).toBe(200)
    expect(asked).toEqual([])
  })
})

describe('orders', () => {
  test('are recorded under the name in the token; what is denied changes nothing', async () => {
    const given = await control()
    await given.post('configuration', { documents: DOCUMENTS, apply: true })
    const before = await given.ledger.journal({})
    const deployer = await contain(given, await provider.token({ sub: 'ci-7', groups: ['rekey-deployers'] }))
    expect(deployer).toMatchObject({
      status: 403,
      body: { denied: { resource: 'Credential::"key"', policies: ['deployers-give-no-orders'] } },
    })
    const added = await given.ledger.journal({ after: before.at(-1)?.position ?? 0 })
    expect(added.map(({ type, actor }) => `${actor} ${type}`)).toEqual(['oidc/ci-7 RequestDenied'])

    const token = await provider.token({ sub: 'ana', groups: ['rekey-on-call'] })
    const { status } = await order(given, token, 'rotate')
    expect(status).toBe(200)
    const entries = await given.ledger.journal({ stream: 'rotation/key-g1' })
    const causes = entries.flatMap(({ data }) =>
      data.cause ? [(data.cause as { actor: string }).actor] : [],
    )
    expect(causes).toContain('oidc/ana')
  })

  test('that are denied in a loop are two audit records', async () => {
    const given = await control()
    const token = await provider.token({ sub: 'ci-7', groups: ['rekey-deployers'] })
    for (let n = 0; n < 50; n++) expect((await contain(given, token)).status).toBe(403)
    for (const end of ends.splice(0)) await end()

    const ledger = openLedger({ url: given.databaseUrl, name: 'test' })
    ends.push(() => ledger.close())
    const entries = await ledger.unaudited(1_000)
    expect(entries.map(({ type, data }) => [type, data.times])).toEqual([
      ['RequestDenied', 1],
      ['RequestDenied', 49],
    ])
    const validate = validator()
    for (const entry of entries) {
      const record = JSON.parse(toOcsf(entry, { sequence: 1, previousHash: GENESIS.hash }).bytes)
      expect(validate(record)).toEqual([])
      expect(record).toMatchObject({
        class_uid: 3004,
        activity_name: 'Deny',
        status: 'Failure',
        actor: {
          user: { name: 'oidc/ci-7' },
          authorizations: [
            { decision: 'deny', policy: { uid: 'deployers-give-no-orders', version: policies.digest } },
          ],
        },
      })
    }
  })
})

describe('client certificates', async () => {
  const authority = await certificateAuthority()
  const own = await authority.issue([{ type: 'ip', value: '127.0.0.1' }])
  const tls = { ...own, clientCa: authority.ca }

  async function call(
    url: string,
    client: { key?: string; cert?: string },
    headers: Record<string, string> = {},
  ) {
    return new Promise<{ status: number; body: string }>((resolve, reject) => {
      const sent = request(url, { ...client, ca: authority.ca, headers, agent: false }, async (answer) => {
        const chunks: Buffer[] = []
        for await (const chunk of answer) chunks.push(chunk)
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() })
      })
      sent.on('error', reject).end()
    })
  }

  test('are a way in by their SPIFFE ID, for what policies give to it', async () => {
    const given = await control({ tls })
    const siem = await authority.issue([{ type: 'url', value: 'spiffe://example.org/siem' }])
    expect((await call(`${given.url}/v1/nodes`, siem)).status).toBe(200)
    const stranger = await authority.issue([{ type: 'url', value: 'spiffe://example.org/stranger' }])
    const denied = await call(`${given.url}/v1/nodes`, stranger)
    expect(denied.status).toBe(403)
    const [entry] = await given.ledger.journal({ stream: 'policy' })
    expect(entry).toMatchObject({ actor: 'mtls/spiffe://example.org/stranger', data: { action: 'read' } })
  })

  test('of another authority, or none, are no way in; a token is one all the same, and a wrong one is refused', async () => {
    const given = await control({ tls })
    const stranger = await (await certificateAuthority()).issue([
      { type: 'url', value: 'spiffe://example.org/siem' },
    ])
    expect((await call(`${given.url}/v1/nodes`, stranger)).status).toBe(401)
    expect((await call(`${given.url}/v1/nodes`, {})).status).toBe(401)
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
    expect((await call(`${given.url}/v1/nodes`, {}, bearer(await provider.token()))).status).toBe(200)
    const siem = await authority.issue([{ type: 'url', value: 'spiffe://example.org/siem' }])
    expect((await call(`${given.url}/v1/nodes`, siem, bearer('wrong'))).status).toBe(401)
  })
})

test('policies are journalled when they change, and not at each start', async () => {
  const given = await control()
  const loaded = { actor: 'control', digest: 'sha-256:a', policies: ['x'] }
  await given.ledger.recordPolicies(loaded)
  await given.ledger.recordPolicies(loaded)
  await given.ledger.recordPolicies({ ...loaded, digest: 'sha-256:b' })
  await given.ledger.recordPolicies(loaded)
  const entries = await given.ledger.journal({ stream: 'policy' })
  expect(entries.map(({ data }) => data.digest)).toEqual(['sha-256:a', 'sha-256:b', 'sha-256:a'])
})
