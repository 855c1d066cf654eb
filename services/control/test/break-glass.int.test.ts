import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Secret } from '@rekey/contracts'
import { type BreakGlassUse, openLedger } from '@rekey/ledger'
import { loadPolicies, readPolicyFolder } from '@rekey/policy'
import { createLogger, openSpool } from '@rekey/runtime'
import { createLocalJWKSet, decodeJwt, SignJWT } from 'jose'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { readBreakGlassKeys } from '../src/access/break-glass.ts'
import { buildControl } from '../src/control.ts'
import { credential, type GivenControl, givenControl, TOKEN, workload } from './given-control.ts'
import { AUDIENCE, givenIssuer, ISSUER } from './issuer.ts'

/** Control with the shipped policies, whose budget is a hundred nodes, and tokens as the command line makes them. */

const REKEY = new URL('./main.ts', import.meta.resolve('@rekey/cli')).pathname
const policies = loadPolicies(
  readPolicyFolder(fileURLToPath(new URL('../../../examples/policies/', import.meta.url))),
)
const logger = createLogger({ service: 'control' })
logger.level = 'silent'
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const token = Secret.of(TOKEN)

let made: string
let ana: string
let ben: string
let dir: string
let control: GivenControl
const ends: (() => unknown)[] = []

const rekey = (...argv: string[]) => execFileSync(process.execPath, [REKEY, ...argv], { encoding: 'utf8' })
const file = (name: string) => join(made, name)

beforeAll(() => {
  made = mkdtempSync(join(tmpdir(), 'rekey-break-glass-'))
  rekey('break-glass', 'key', '--private', file('key.pem'), '--public', file('keys.json'))
  const issue = (person: string) => {
    rekey('break-glass', 'issue', '--key', file('key.pem'), '--person', person, '--out', file(person))
    return readFileSync(file(person), 'utf8')
  }
  ana = issue('ana')
  ben = issue('ben')
  return () => rmSync(made, { recursive: true })
})
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'rekey-spool-'))
  const provider = await givenIssuer()
  oidc = provider.token
  control = await givenControl({
    policies,
    issuer: {
      issuer: ISSUER,
      audience: AUDIENCE,
      nameClaim: 'sub',
      groupsClaim: 'groups',
      skewMs: 0,
      keys: {
        find: createLocalJWKSet(await provider.jwks()),
        refresh: async () => true,
        close: () => undefined,
      },
    },
    breakGlass: await breakGlass(),
  })
  ends.push(
    () => control.close(),
    () => rmSync(dir, { recursive: true }),
  )
})
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})
let oidc: Awaited<ReturnType<typeof givenIssuer>>['token']

const breakGlass = async (keptMax?: number) => ({
  keys: readBreakGlassKeys(file('keys.json')),
  spool: await openSpool<BreakGlassUse>(join(dir, 'spool'), keptMax),
})

/** As many nodes, each of a workload of its own credential. */
async function nodes(counts: Record<string, number>): Promise<void> {
  const documents = Object.keys(counts).flatMap((name) => [
    { ...workload({ spiffeId: `spiffe://example.org/${name}` }), metadata: { name } },
    { ...credential({ workload: name }), metadata: { name: `${name}-key` } },
  ])
  await control.ledger.configure(documents as never, { apply: true, actor: 'test' })
  for (const [name, count] of Object.entries(counts))
    for (let n = 0; n < count; n++) {
      const node = `${name}-${n}`
      const { token } = await control.ledger.createJoinToken({
        node,
        workload: name,
        ttlMs: 60_000,
        actor: 'test',
      })
      await control.ledger.fleet.redeemJoinToken(node, token)
    }
}

async function send(token: string, path: string, body?: object, headers: Record<string, string> = {}) {
  const answer = await fetch(`${control.url}/v1/${path}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body && { body: JSON.stringify(body) }),
  })
  const said = (await answer.json()) as { code?: string; approval: { id: string } }
  return { status: answer.status, body: said }
}
const expedite = (token: string, name: string, headers = {}) =>
  send(token, `credentials/${name}/rotate`, { reason: 'in a build log', ticket: 'INC-7' }, headers)
/** Who wanted the rotation that its configuration has begun. */
async function causes(name: string): Promise<unknown[]> {
  const entries = await control.ledger.journal({ stream: `rotation/${name}-g1` })
  return entries.flatMap(({ type, data }) => {
    const { cause } = data as { cause?: { actor: string } }
    return ['RotationOpened', 'CauseJoined'].includes(type) ? [cause?.actor] : []
  })
}
const uses = async () =>
  (await control.ledger.journal({ stream: 'break-glass' })).map(({ type, actor, data }) => ({
    type,
    actor,
    ...data,
  }))

describe('a sealed token', () => {
  test('gives orders within the budget, and no use of it is without a trace', async () => {
    await nodes({ chat: 2 })
    expect(await expedite(ana, 'chat-key')).toMatchObject({ status: 200, body: { how: 'joined' } })
    const { jti } = decodeJwt(ana)
    await expect.poll(uses).toMatchObject([
      { type: 'BreakGlassOpened', actor: 'break-glass/ana', token: jti, person: 'ana' },
      {
        type: 'BreakGlassUsed',
        token: jti,
        action: 'rotate',
        resource: { type: 'credential', id: 'chat-key' },
        reason: 'in a build log',
        ticket: 'INC-7',
        status: 200,
      },
    ])
    expect(await causes('chat-key')).toEqual(['test', 'break-glass/ana'])
    expect(await (await breakGlass()).spool.read(() => undefined)).toEqual([])
    expect(JSON.stringify(await control.ledger.journal({}))).not.toContain(ana.split('.')[2])
  })

  test('looks, which breaks the seal once; and configures nothing', async () => {
    expect((await send(ana, 'nodes')).status).toBe(200)
    expect((await send(ana, 'rotations')).status).toBe(200)
    expect((await uses()).map(({ type }) => type)).toEqual(['BreakGlassOpened'])
    expect(await send(ana, 'configuration', { documents: [], apply: true })).toMatchObject({ status: 403 })
    await expect.poll(async () => (await uses()).at(-1)).toMatchObject({ action: 'apply', status: 403 })
  })

  test('ends an hour after its first use', async () => {
    const token = decodeJwt(ana).jti ?? ''
    await control.ledger.openBreakGlass({ token, person: 'ana', forMs: 0 })
    const answer = await send(ana, 'nodes')
    expect(answer).toMatchObject({ status: 401, body: { detail: expect.stringContaining('ended at') } })
    expect((await send(ben, 'nodes')).status).toBe(200)
  })

  test.each<[string, () => Promise<string>, string]>([
    ['made with another key', () => signed({}), 'its signature is wrong'],
    ['whose time is over', () => signed({ exp: 1 }, own()), 'it has expired'],
    ['for somebody without a name', () => signed({ sub: 'a b' }, own()), 'it cannot be read'],
    ['without a name of its own', () => signed({ jti: undefined }, own()), 'it cannot be read'],
    ['for something else', () => signed({ aud: 'other' }, own()), 'it cannot be read'],
  ])('%s is refused', async (_what, token, why) => {
    const answer = await send(await token(), 'nodes')
    expect(answer).toMatchObject({ status: 401, body: { detail: expect.stringContaining(why) } })
    expect(await uses()).toEqual([])
  })

  test('is none of the issuer, whatever it says it is', async () => {
    const token = await signed({ iss: ISSUER, aud: AUDIENCE }, own(), 'JWT')
    expect((await send(token, 'nodes')).status).toBe(401)
  })
})

const own = () => readFileSync(file('key.pem'), 'utf8')
/** Like one of ours but for what is given. */
async function signed(claims: object, pem?: string, typ = 'rekey-break-glass+jwt'): Promise<string> {
  const { importPKCS8 } = await import('jose')
  const other = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
  const [known] = JSON.parse(readFileSync(file('keys.json'), 'utf8')).keys
  return new SignJWT({
    iss: 'rekey-break-glass',
    aud: 'rekey-control',
    sub: 'ana',
    jti: crypto.randomUUID(),
    exp: Math.floor(Date.now() / 1_000) + 60,
    ...claims,
  })
    .setProtectedHeader({ alg: 'EdDSA', typ, kid: known.kid })
    .sign(await importPKCS8(pem ?? other.toString(), 'EdDSA'))
}

describe('above the budget', () => {
  test('another person agrees first; and it is for that order, once', async () => {
    await nodes({ chat: 101 })
    const refused = await expedite(ana, 'chat-key')
    expect(refused).toMatchObject({ status: 403, body: { code: 'approval_needed' } })
    expect(await causes('chat-key')).toHaveLength(1)
    const { id } = refused.body.approval
    // Whoever asks again asks for the same.
    expect((await expedite(ana, 'chat-key')).body.approval.id).toBe(id)

    const approve = (token: string) => send(token, `approvals/${id}/approve`, { reason: 'I saw it' })
    expect(await approve(ana)).toMatchObject({ status: 403, body: { code: 'denied' } })
    const sameByOtherWay = await oidc({ sub: 'ana', groups: ['rekey-on-call'] })
    expect(await approve(sameByOtherWay)).toMatchObject({ status: 403, body: { code: 'denied' } })
    expect(await approve(ben)).toMatchObject({ status: 200, body: { approver: 'break-glass/ben' } })
    expect(await approve(ben)).toMatchObject({ status: 200 })
    // Agreed with by others, or not: it is ana's.
    expect((await expedite(ben, 'chat-key')).body.code).toBe('approval_needed')

    const once = { 'idempotency-key': 'k1' }
    expect(await expedite(ana, 'chat-key', once)).toMatchObject({ status: 200, body: { how: 'joined' } })
    expect(await expedite(ana, 'chat-key', once)).toMatchObject({ status: 200, body: { how: 'joined' } })
    expect((await expedite(ana, 'chat-key')).body.code).toBe('approval_needed')
    const entries = await control.ledger.journal({ stream: 'credential/chat-key' })
    expect(entries.filter(({ data }) => data.approval === id).map((e) => [e.type, e.actor])).toEqual([
      ['ApprovalAsked', 'break-glass/ana'],
      ['ApprovalGiven', 'break-glass/ben'],
    ])
    expect((await send(ben, 'approvals')).body).toHaveLength(3)
  })

  test('what is agreed with is what was asked for', async () => {
    await nodes({ chat: 101 })
    const ask = (body: object) => send(ana, 'credentials/chat-key/pause', { reason: 'x', ...body })
    const { id } = (await ask({ forMs: 60_000 })).body.approval
    await send(ben, `approvals/${id}/approve`, { reason: 'yes' })
    expect((await ask({ forMs: 60_001 })).body.code).toBe('approval_needed')
    expect((await ask({ forMs: 60_000 })).status).toBe(200)
  })

  test('slices count together', async () => {
    await nodes({ chat: 60, search: 60 })
    expect((await expedite(ana, 'chat-key')).status).toBe(200)
    expect((await expedite(ana, 'chat-key')).status).toBe(200)
    expect((await expedite(ana, 'search-key')).body.code).toBe('approval_needed')
    expect((await expedite(ben, 'search-key')).status).toBe(200)
  })

  test('two at once are not both let through', async () => {
    await nodes({ chat: 60, search: 60 })
    const answers = await Promise.all(['chat-key', 'search-key'].map((name) => expedite(ana, name)))
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThan(2)
  })

  test('an approval of nothing is for those alone who may approve everything', async () => {
    const reader = await oidc({ sub: 'eve', groups: ['rekey-readers'] })
    const approve = (token: string) => send(token, 'approvals/ap-000000000000/approve', { reason: 'x' })
    expect((await approve(reader)).status).toBe(403)
    expect((await approve(ben)).status).toBe(404)
  })
})

describe('the trace', () => {
  test('is in the spool where the ledger is away, and in the journal when it is back', async () => {
    const away = openLedger({ url: 'postgres://nobody@127.0.0.1:1/none', name: 'control' })
    const app = await buildControl({ ledger: away, logger, token, policies, breakGlass: await breakGlass() })
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/credentials/chat-key/contain',
      payload: { reason: 'in a build log' },
      headers: { authorization: `Bearer ${ana}` },
    })
    expect(answer.statusCode).toBe(503)
    await app.close()
    await away.close()
    const kept = await (await breakGlass()).spool.read(() => undefined)
    expect(kept).toMatchObject([{ record: { person: 'ana', action: 'contain', status: 503 } }])
    // The control that is there looks at the same folder every few seconds.
    await expect.poll(uses, { timeout: 20_000 }).toMatchObject([{ type: 'BreakGlassUsed', status: 503 }])
    await expect.poll(async () => (await breakGlass()).spool.read(() => undefined)).toEqual([])
  })

  test('of a use that was cut off says that its answer is unknown', async () => {
    const record: BreakGlassUse = {
      use: crypto.randomUUID(),
      token: 'a-token-name',
      person: 'ana',
      action: 'contain',
      resource: { type: 'credential', id: 'chat-key' },
      reason: 'x',
      ticket: null,
      address: '127.0.0.1',
      at: new Date().toISOString(),
      status: null,
    }
    await control.ledger.recordBreakGlassUse(record)
    await (await breakGlass()).spool.keep(record.use, record)
    await expect
      .poll(async () => (await breakGlass()).spool.read(() => undefined), { timeout: 20_000 })
      .toEqual([])
    expect(await uses()).toMatchObject([{ type: 'BreakGlassUsed', status: null }])
  })

  test('that cannot be kept is a no: nothing is done', async () => {
    await nodes({ chat: 1 })
    const full = await buildControl({
      ledger: control.ledger,
      logger,
      token,
      policies,
      breakGlass: await breakGlass(0),
    })
    ends.unshift(() => full.close())
    const answer = await full.inject({
      method: 'POST',
      url: '/v1/credentials/chat-key/rotate',
      payload: { reason: 'x' },
      headers: { authorization: `Bearer ${ana}` },
    })
    expect(answer.json()).toMatchObject({ status: 503, detail: expect.stringContaining('it is full') })
    expect(await causes('chat-key')).toHaveLength(1)
  })
})

test('a private key is no key for control', () => {
  expect(() => readBreakGlassKeys(file('key.pem'))).toThrow('CONTROL_BREAK_GLASS_KEYS_FILE')
})
