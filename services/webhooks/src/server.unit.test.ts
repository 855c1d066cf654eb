import { RekeyError } from '@rekey/contracts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { givenServer, TOKEN } from '../test/given.ts'
import {
  alertPayload,
  argocdPayload,
  example,
  fluxPayload,
  GITHUB_EXAMPLES,
  signature,
} from '../test/payloads.ts'
import { BODY_BYTES_MAX } from './server.ts'

let server: ReturnType<typeof givenServer>
beforeEach(() => {
  server = givenServer()
})
afterEach(() => server.end())

type Headers = Record<string, string>
const post = (url: string, body: string | Buffer, headers: Headers) =>
  server.app.inject({
    method: 'POST',
    url,
    payload: body,
    headers: { 'content-type': 'application/json', ...headers },
  })
const github = (event: string, payload: unknown, headers: Headers = {}) => {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload)
  return post('/github', body, {
    'x-github-event': event,
    'x-hub-signature-256': signature(body),
    ...headers,
  })
}
const flux = (payload: unknown, headers: Headers = {}) => {
  const body = JSON.stringify(payload)
  return post('/flux', body, { 'x-signature': signature(body), ...headers })
}
const argocd = (payload: unknown, headers: Headers = {}) =>
  post('/argocd', JSON.stringify(payload), { authorization: `Bearer ${TOKEN}`, ...headers })

describe('a delivery that is taken', () => {
  test('an alert is kept, and not sent from here', async () => {
    const answer = await github('secret_scanning_alert', alertPayload())
    expect([answer.statusCode, server.published]).toEqual([202, []])
    expect(server.reports).toMatchObject([
      { emitter: 'github', leak: { credential: 'chat-gateway-key' }, alert: { number: 42 }, isNamed: true },
    ])
  })

  test('a deployment of each source is on its own topic when it is answered', async () => {
    const answers = [
      await github('deployment_status', example('deployment_status')),
      await argocd(argocdPayload()),
      await flux(fluxPayload()),
    ]
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([202, 202, 202])
    expect(server.published.map(({ emitter, event }) => [emitter, event.extensions.partitionkey])).toEqual([
      ['github', 'chat-gateway'],
      ['argocd', 'chat-gateway'],
      ['flux', 'chat-gateway'],
    ])
    expect(answers[2]?.json().taken.id).toBe(server.published[2]?.event.id)
  })

  test('again is the same event', async () => {
    for (const delivery of ['d-1', 'd-2'])
      await github('deployment_status', example('deployment_status'), { 'x-github-delivery': delivery })
    const [first, second] = server.published
    expect(second).toEqual(first)
  })
})

test('a ping, and what asks for nothing, is answered with 200 and the reason', async () => {
  expect((await github('ping', example('ping'))).json()).toEqual({ ignored: 'a ping: the secret is right' })
  const { statusCode, body } = await github('push', example('push'))
  expect([statusCode, body]).toEqual([200, '{"ignored":"an event push asks for nothing"}'])
  expect([server.published, server.reports]).toEqual([[], []])
})

describe('what is not shown to be genuine is refused and goes nowhere', () => {
  const body = JSON.stringify(alertPayload())
  const event = { 'x-github-event': 'secret_scanning_alert' }
  test.each<[string, () => ReturnType<typeof post>]>([
    ['no signature', () => post('/github', body, event)],
    [
      'another secret',
      () => post('/github', body, { ...event, 'x-hub-signature-256': signature(body, 'x') }),
    ],
    ['another body', () => post('/github', `${body} `, { ...event, 'x-hub-signature-256': signature(body) })],
    ['the old header', () => post('/github', body, { ...event, 'x-hub-signature': signature(body) })],
    [
      'the signature in the header of another',
      () => post('/flux', body, { 'x-hub-signature-256': signature(body) }),
    ],
    ['no token', () => argocd(argocdPayload(), { authorization: '' })],
    ['a signature for a token', () => argocd(argocdPayload(), { authorization: signature('{}') })],
    ['another token', () => argocd(argocdPayload(), { authorization: 'Bearer another-token-of-theirs' })],
  ])('%s', async (_what, send) => {
    const answer = await send()
    expect(answer.json()).toMatchObject({ status: 401, code: 'unauthenticated' })
    expect([server.published, server.reports]).toEqual([[], []])
    expect(server.lines.join()).toContain('"why":"unauthenticated","times":1,"total":1')
    expect(server.lines.join() + answer.body).not.toContain('rekey_gateway_key')
  })

  test('a thousand of them are one line', async () => {
    for (let n = 0; n < 1_000; n++) await post('/github', body, event)
    expect(server.lines).toHaveLength(1)
  })
})

describe('what cannot be read is refused', () => {
  const large = `"${'x'.repeat(BODY_BYTES_MAX)}"`
  test.each<[string, () => ReturnType<typeof post>, number, string]>([
    ['a body that is too large', () => github('push', large), 413, 'too_large'],
    [
      'a form',
      () => github('push', 'payload=%7B%7D', { 'content-type': 'application/x-www-form-urlencoded' }),
      415,
      'unsupported_media_type',
    ],
    ['no JSON', () => github('push', '{"a":'), 400, 'malformed_request'],
    ['nothing', () => github('push', ''), 400, 'malformed_request'],
    ['an alert without a number', () => github('secret_scanning_alert', {}), 422, 'invalid_event'],
    ['another path', () => post('/gitlab', '{}', {}), 404, 'unknown_route'],
    ['another method', () => server.app.inject({ url: '/github' }), 404, 'unknown_route'],
  ])('%s', async (_what, send, status, code) => {
    const answer = await send()
    expect(answer.headers['content-type']).toContain('application/problem+json')
    expect(answer.json()).toMatchObject({ status, code })
    expect(answer.statusCode).toBe(status)
  })
})

describe('what cannot be kept', () => {
  test('a change that Kafka does not take is refused until later', async () => {
    server.world.publish = () => {
      throw new RekeyError('backend_unavailable', 'send to rekey.changes.flux.v1: hunter2')
    }
    const answer = await flux(fluxPayload())
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '30'])
    expect(answer.body).not.toContain('hunter2')
  })

  test('a leak for which there is no room is refused until later', async () => {
    server.world.take = () => false
    const answer = await github('secret_scanning_alert', alertPayload())
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '60'])
  })
})

test('too many changes of one source are refused; those of another, and leaks, are not', async () => {
  await server.end()
  server = givenServer({ changesPerMinute: 2 })
  const codes = [await flux(fluxPayload()), await flux(fluxPayload()), await flux(fluxPayload())]
  expect(codes.map(({ statusCode }) => statusCode)).toEqual([202, 202, 429])
  expect(Number(codes[2]?.headers['retry-after'])).toBeGreaterThan(0)
  expect((await argocd(argocdPayload())).statusCode).toBe(202)
  for (let n = 0; n < 5; n++) {
    const { statusCode } = await github('secret_scanning_alert', alertPayload({ alert: { number: n + 1 } }))
    expect(statusCode).toBe(202)
  }
})

/** Stands in every value that is damaged below; no answer, log line or event may contain even a part of it. */
const CANARY = 'zQ7hunter2Kx9'
const JUNK: unknown[] = [
  null,
  0,
  -1,
  1e308,
  '',
  CANARY,
  [],
  {},
  [CANARY],
  { [CANARY]: CANARY },
  true,
  '\ud800',
  '\0',
]

/** mulberry32: small, and the same everywhere. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

test('whatever a signed body holds, it is answered, and nothing of it is repeated but what was asked for', async () => {
  const next = random(20261122)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)] as T
  const damage = (json: unknown): unknown => {
    if (typeof json !== 'object' || json === null || next() < 0.1) return pick(JUNK)
    const copy = structuredClone(json) as Record<string, unknown>
    const key = pick([...Object.keys(copy), CANARY])
    copy[key] = next() < 0.2 ? undefined : damage(copy[key])
    return copy
  }
  const samples: [string, unknown][] = [
    ['secret_scanning_alert', alertPayload()],
    ['deployment_status', example('deployment_status')],
    ...GITHUB_EXAMPLES.slice(0, 5).map(({ name, examples }): [string, unknown] => [name, examples[0]]),
  ]
  const seen = new Set<number>()
  for (let run = 0; run < 300; run++) {
    const [event, payload] = pick(samples)
    const answers = [
      await github(event, damage(payload)),
      await flux(damage(fluxPayload())),
      await argocd(damage(argocdPayload())),
      await github(event, JSON.stringify(payload).slice(0, Math.floor(next() * 400))),
    ]
    for (const { statusCode, body } of answers) {
      seen.add(statusCode)
      if (statusCode >= 400) expect(body).not.toContain(CANARY.slice(2, 9))
    }
  }
  expect([...seen].sort()).toEqual([200, 202, 400, 422])
  const errors = server.lines.filter((line) => !line.startsWith('info'))
  expect(errors.join()).not.toContain(CANARY.slice(2, 9))
  expect(errors.filter((line) => line.startsWith('error'))).toEqual([])
})
