import { describe, expect, test } from 'vitest'
import { alertPayload, example, GITHUB_EXAMPLES, type Json } from '../../test/payloads.ts'
import { eventOf } from '../event.ts'
import { Refusal } from '../problem.ts'
import { github } from './github.ts'

const receivedAt = new Date('2026-11-22T12:00:00Z')
const section = github.section.parse({
  secretFiles: ['x'],
  alerts: [
    { secretType: 'rekey_gateway_key', credential: 'any-gateway-key' },
    { secretType: 'rekey_gateway_key', repository: 'Octo/Chat', credential: 'chat-gateway-key' },
  ],
  deployments: [
    {
      repository: 'Codertocat/Hello-World',
      environment: 'production',
      is: { workload: 'hello', environment: 'prod' },
    },
  ],
})

const hear = (event: string | undefined, body: unknown, delivery = 'd-1', by = section) =>
  github.hear(
    {
      header: (name) => ({ 'x-github-event': event, 'x-github-delivery': delivery })[name],
      body,
      receivedAt,
    },
    by,
  )
const eventFrom = (heard: ReturnType<typeof hear>) => {
  if (heard.kind === 'ignored') throw new Error(heard.why)
  return eventOf(heard.kind === 'leak' ? heard.leak : heard.change, heard.origin)
}

describe('an alert of secret scanning', () => {
  test('names the credential of its type, in its repository first', () => {
    expect(hear('secret_scanning_alert', alertPayload())).toEqual({
      kind: 'leak',
      leak: {
        type: 'credential.leaked',
        credential: 'chat-gateway-key',
        where: 'https://github.com/octo/chat/security/secret-scanning/42 (secret type rekey_gateway_key)',
      },
      isNamed: true,
      origin: {
        source: '/github/octo/chat',
        name: 'secret-scanning/42/created/2026-11-21T09:00:01Z',
        at: new Date('2026-11-21T09:00:00Z'),
      },
      alert: { owner: 'octo', repository: 'chat', number: 42 },
    })
    const elsewhere = alertPayload({
      repository: { full_name: 'octo/other', html_url: 'https://github.com/octo/other' },
    })
    expect(hear('secret_scanning_alert', elsewhere)).toMatchObject({
      leak: { credential: 'any-gateway-key' },
    })
  })

  test('of a type that nothing is configured for is said all the same, as the finding that it is', () => {
    const heard = hear('secret_scanning_alert', alertPayload({ alert: { secret_type: 'adafruit_io_key' } }))
    expect(heard).toMatchObject({ isNamed: false, leak: { credential: 'github/octo/chat/42' } })
    expect(eventFrom(heard)).toMatchObject({
      type: 'dev.cdeventsx.rekey-credential.leaked.0.2.0',
      source: '/github/octo/chat',
      data: { subject: { id: 'github/octo/chat/42', content: { where: expect.stringContaining('/42 (') } } },
    })
  })

  test.each(['created', 'reopened', 'publicly_leaked'])('%s is a leak', (action) => {
    expect(hear('secret_scanning_alert', alertPayload({ action }))).toMatchObject({ kind: 'leak' })
  })

  test.each(['resolved', 'revoked', 'validated', '\u001b[2J'])('%j is ignored, and says so', (action) => {
    expect(hear('secret_scanning_alert', alertPayload({ action }))).toEqual({
      kind: 'ignored',
      why: expect.stringMatching(/^an alert that is [\w ]+ asks for nothing$/),
    })
  })

  test('is one event however often it is delivered, and another one when it is reopened', () => {
    const id = (over: object, delivery: string) =>
      eventFrom(hear('secret_scanning_alert', alertPayload(over), delivery)).id
    expect(id({}, 'd-2')).toBe(id({}, 'd-1'))
    const later = { action: 'reopened', alert: { updated_at: '2026-11-22T09:00:00Z' } }
    expect(id(later, 'd-3')).not.toBe(id({}, 'd-1'))
  })

  test('reopened is about the value that was in use when it was made', () => {
    const heard = hear(
      'secret_scanning_alert',
      alertPayload({ action: 'reopened', alert: { updated_at: '2026-11-22T09:00:00Z' } }),
    )
    expect(heard).toMatchObject({ origin: { at: new Date('2026-11-21T09:00:00Z') } })
  })

  test('without any time, as old servers send it, is known by its delivery', () => {
    expect(hear('secret_scanning_alert', example('secret_scanning_alert'), 'd-7')).toMatchObject({
      kind: 'leak',
      origin: {
        name: 'secret-scanning/191/reopened/d-7',
        at: receivedAt,
        source: '/github/codertocat/hello-world',
      },
    })
  })

  test('is not refused for what is not needed to act', () => {
    const odd = { secret_type: null, created_at: 'yesterday', updated_at: 7 }
    expect(
      hear(
        'secret_scanning_alert',
        alertPayload({ alert: odd, repository: { html_url: 'javascript:alert(1)' } }),
      ),
    ).toMatchObject({
      leak: { credential: 'github/octo/chat/42', where: 'alert 42 of octo/chat (secret type unknown)' },
      origin: { name: 'secret-scanning/42/created/d-1', at: receivedAt },
    })
  })

  test('is known by the name of its pattern as well as by its slug', () => {
    const alert = { secret_type: 'rekey_gateway_key_2', secret_type_display_name: 'rekey_gateway_key' }
    expect(hear('secret_scanning_alert', alertPayload({ alert }))).toMatchObject({ isNamed: true })
  })

  test('of which the value came along says nothing of it', () => {
    const heard = hear('secret_scanning_alert', alertPayload({ alert: { secret: 'hunter2hunter2' } }))
    expect(JSON.stringify([heard, eventFrom(heard)])).not.toContain('hunter2')
  })

  test.each<[string, Json]>([
    ['no number', alertPayload({ alert: { number: '42' } })],
    ['a number of nothing', alertPayload({ alert: { number: 0 } })],
    ['no repository', { ...alertPayload(), repository: null }],
    ['a repository that climbs', alertPayload({ repository: { full_name: '../secrets' } })],
    ['a repository that climbs later', alertPayload({ repository: { full_name: 'octo/..' } })],
    ['a repository with a query', alertPayload({ repository: { full_name: 'octo/chat?x' } })],
    ['a repository with three parts', alertPayload({ repository: { full_name: 'octo/chat/x' } })],
    ['a host in its name', alertPayload({ repository: { full_name: 'octo@evil.example/chat' } })],
    ['no body', {}],
  ])('with %s is refused', (_what, body) => {
    expect(() => hear('secret_scanning_alert', body)).toThrow(Refusal)
  })
})

describe('a deployment', () => {
  test('that succeeded is one of the workload that is configured for it', () => {
    const heard = hear('deployment_status', example('deployment_status'))
    expect(heard).toEqual({
      kind: 'change',
      change: {
        type: 'service.deployed',
        workload: 'hello',
        environment: 'prod',
        facts: { artifact: 'pkg:github/codertocat/hello-world@f95f852bd8fca8fcc58a9a2d6c842781e32a215e' },
      },
      origin: {
        source: '/github/codertocat/hello-world',
        name: 'deployment-status/209916254',
        at: new Date('2019-05-15T15:20:55Z'),
      },
    })
    expect(eventFrom(heard).type).toBe('dev.cdevents.service.deployed.0.3.0')
  })

  test.each([
    ['is under way', { state: 'in_progress' }, 'in the state in_progress'],
    ['went elsewhere', { environment: 'staging' }, 'in its environment staging'],
  ])('that %s is ignored', (_what, over, why) => {
    const body = example('deployment_status')
    Object.assign(body.deployment_status as Json, over)
    expect(hear('deployment_status', body)).toMatchObject({
      kind: 'ignored',
      why: expect.stringContaining(why),
    })
  })
})

test('every example that GitHub has of anything is heard or refused, and few of them ask for something', () => {
  const counts: Record<string, number> = {}
  for (const { name, examples } of GITHUB_EXAMPLES)
    for (const body of examples) {
      const { kind } = hear(name, body)
      if (kind !== 'ignored') counts[name] = (counts[name] ?? 0) + 1
    }
  expect(counts).toEqual({ deployment_status: 5, secret_scanning_alert: 2 })
  expect(hear('ping', example('ping'))).toMatchObject({ kind: 'ignored' })
  expect(hear(undefined, {})).toMatchObject({ kind: 'ignored' })
})

describe('its configuration', () => {
  const valid = (over: object) => github.section.safeParse({ secretFiles: ['x'], ...over }).success
  test.each<[string, object]>([
    ['an API on plain HTTP', { api: { url: 'http://github.example/api/v3', tokenFile: 't' } }],
    ['an API with a password', { api: { url: 'https://a:b@github.example', tokenFile: 't' } }],
    ['an API that is no address', { api: { url: 'github.example', tokenFile: 't' } }],
    ['a repository without an owner', { alerts: [{ secretType: 't', repository: 'chat', credential: 'k' }] }],
    ['a name that no credential has', { alerts: [{ secretType: 't', credential: 'My Key' }] }],
    [
      'two credentials for one type',
      {
        alerts: [
          { secretType: 't', repository: 'octo/chat', credential: 'a' },
          { secretType: 't', repository: 'Octo/Chat', credential: 'b' },
        ],
      },
    ],
    ['a typo', { alert: [] }],
    ['no secret', { secretFiles: [] }],
  ])('refuses %s', (_what, over) => {
    expect(valid(over)).toBe(false)
  })

  test('takes a server of your own, and one on this host', () => {
    for (const url of ['https://github.example/api/v3', 'http://127.0.0.1:8080', undefined])
      expect(valid({ api: { url, tokenFile: 't' } })).toBe(true)
  })
})
