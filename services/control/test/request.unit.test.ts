import { Secret } from '@rekey/contracts'
import { type Ledger, openLedger } from '@rekey/ledger'
import { createLogger } from '@rekey/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildControl } from '../src/control.ts'

const TOKEN = 'a-token-that-only-tests-know'
const logger = createLogger({ service: 'control' })
logger.level = 'silent'

/** Answers nothing but lists: requests that are wrong must not reach it. */
const ledger = {
  onJournal: () => ({ close: async () => undefined }),
  listCredentials: async () => [],
} as unknown as Ledger

let app: Awaited<ReturnType<typeof buildControl>>
beforeEach(async () => {
  app = await buildControl({ ledger, token: Secret.of(TOKEN), logger })
})
afterEach(() => app.close())

const headers = { authorization: `Bearer ${TOKEN}`, 'x-rekey-actor': 'ana' }
const post = (url: string, payload: string | object, more: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url,
    payload,
    headers: { ...headers, 'content-type': 'application/json', ...more },
  })

describe('the token', () => {
  test.each([
    ['none', {}],
    ['another', { authorization: 'Bearer wrong' }],
    ['a part of it', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ['more than it', { authorization: `Bearer ${TOKEN}x` }],
    ['another scheme', { authorization: `Basic ${TOKEN}` }],
  ])('%s is refused on every route but health and the document', async (_what, given) => {
    for (const { method, url } of await routes()) {
      if (!url.startsWith('/v1/')) continue
      const answer = await app.inject({ method, url: url.replaceAll(/\{\w+\}/g, 'x'), headers: given })
      expect(answer.statusCode).toBe(401)
      expect(answer.headers['www-authenticate']).toBe('Bearer')
      expect(answer.body).not.toContain(TOKEN)
    }
    expect((await app.inject({ url: '/healthz', headers: given })).statusCode).toBe(200)
    expect((await app.inject({ url: '/openapi.json', headers: given })).statusCode).toBe(200)
  })

  test('opens the routes', async () => {
    expect((await app.inject({ url: '/v1/credentials', headers })).json()).toEqual([])
  })

  test('that is short is refused at the start', async () => {
    await expect(buildControl({ ledger, token: Secret.of('short'), logger })).rejects.toThrow(
      'shorter than 16 characters',
    )
  })
})

describe('what is wrong with a request is said as a problem', () => {
  test.each<[string, () => ReturnType<typeof post>, number, string, string]>([
    [
      'malformed JSON',
      () => post('/v1/configuration', '{"documents": ['),
      400,
      'malformed_request',
      'the body is not valid JSON',
    ],
    ['no body', () => post('/v1/configuration', ''), 400, 'malformed_request', 'body'],
    [
      'an unknown field',
      () => post('/v1/configuration', { documents: [], apply: true, force: true }),
      400,
      'malformed_request',
      'force',
    ],
    [
      'a missing field',
      () => post('/v1/configuration', { documents: [] }),
      400,
      'malformed_request',
      'body.apply',
    ],
    [
      'an order without a reason',
      () => post('/v1/credentials/key/rotate', { reason: '  ' }),
      400,
      'malformed_request',
      'body.reason',
    ],
    [
      'a reason that steers terminals',
      () => post('/v1/credentials/key/rotate', { reason: '\u001b[2J' }),
      400,
      'malformed_request',
      'control characters',
    ],
    [
      'a routine order that names what leaked',
      () => post('/v1/credentials/key/rotate', { reason: 'x', generations: [1] }),
      400,
      'malformed_request',
      'generations',
    ],
    [
      'an emergency that names nothing',
      () => post('/v1/credentials/key/contain', { reason: 'x', generations: [] }),
      400,
      'malformed_request',
      'body.generations',
    ],
    [
      'an emergency about no generation',
      () => post('/v1/credentials/key/expedite', { reason: 'x', generations: ['1'] }),
      400,
      'malformed_request',
      'body.generations.0',
    ],
    [
      'an excuse without an end',
      () => post('/v1/nodes/n1/excuse', { reason: 'x' }),
      400,
      'malformed_request',
      'body.forMs',
    ],
    [
      'an order by nobody',
      () => post('/v1/credentials/key/rotate', { reason: 'x' }, { 'x-rekey-actor': '' }),
      400,
      'malformed_request',
      'headers.x-rekey-actor',
    ],
    [
      'a name with a NUL',
      () => post('/v1/credentials/a%00b/rotate', { reason: 'x' }),
      400,
      'malformed_request',
      'params.name',
    ],
    [
      'another media type',
      () => post('/v1/configuration', 'x', { 'content-type': 'text/yaml' }),
      415,
      'unsupported_media_type',
      'JSON',
    ],
    ['an unknown route', () => post('/v1/nothing', {}), 404, 'unknown_route', 'there is no POST /v1/nothing'],
    [
      'a body that is too large',
      () => post('/v1/configuration', `"${'x'.repeat(4 * 1024 * 1024)}"`),
      413,
      'too_large',
      '4 MiB',
    ],
  ])('%s', async (_what, send, status, code, detail) => {
    const answer = await send()
    expect(answer.headers['content-type']).toContain('application/problem+json')
    expect(answer.json()).toMatchObject({ status, code, type: `urn:rekey:error:${code}` })
    expect(answer.json().detail.toLowerCase()).toContain(detail.toLowerCase())
    expect(answer.json().remedy).not.toBe('')
    expect(answer.statusCode).toBe(status)
  })

  test('an error of ours is not explained to callers', async () => {
    const answer = await app.inject({ url: '/v1/nodes', headers })
    expect(answer.statusCode).toBe(500)
    expect(answer.json()).toMatchObject({ code: 'internal', detail: 'something went wrong that should not' })
  })
})

test('a ledger that cannot be reached is a 503 that says nothing of its address', async () => {
  const lost = openLedger({ url: 'postgres://rekey:hunter2@127.0.0.1:1/rekey', name: 'control' })
  const control = await buildControl({ ledger: lost, token: Secret.of(TOKEN), logger })
  const answer = await control.inject({ url: '/v1/credentials', headers })
  expect(answer.json()).toMatchObject({ status: 503, code: 'backend_unavailable' })
  expect(answer.body).not.toContain('hunter2')
  expect((await control.inject({ url: '/readyz' })).json()).toEqual({
    status: 'not ready',
    failed: ['ledger'],
  })
  expect((await control.inject({ url: '/healthz' })).statusCode).toBe(200)
  await control.close()
  await lost.close()
})

async function routes(): Promise<{ method: 'GET' | 'POST'; url: string }[]> {
  const document = (await app.inject({ url: '/openapi.json' })).json()
  return Object.entries<object>(document.paths).flatMap(([url, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase() as 'GET' | 'POST', url })),
  )
}
