import { readFileSync, statSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { ControlClient } from '../src/control-client.ts'
import { readSettings } from '../src/settings.ts'
import { givenCli, problem, type Seen, TOKEN } from './given-cli.ts'

let cli: Awaited<ReturnType<typeof givenCli>>
afterEach(() => cli.close())

const changes = [
  { kind: 'Workload', name: 'chat', action: 'create', fields: [], values: [] },
  {
    kind: 'Credential',
    name: 'key',
    action: 'update',
    fields: ['spec.rollout'],
    values: [
      { field: 'spec.rollout', before: { quietMs: 3, settleMs: 1 }, after: { quietMs: 5, settleMs: 1 } },
    ],
  },
  { kind: 'Rule', name: 'zone', action: 'unchanged', fields: [], values: [] },
]
const unchanged = changes.filter((change) => change.action === 'unchanged')

describe('apply and diff', () => {
  test('show what is new and what changes, value by value', async () => {
    cli = await givenCli({ 'POST /v1/configuration': { applied: true, changes } })
    const file = cli.file('a.yaml', 'kind: Rule\n---\n# nothing\n---\nkind: Workload\n')
    const { exit, out } = await cli.rekey(['apply', file])
    expect(exit).toBe(0)
    expect(out).toBe(
      [
        '+ Workload chat',
        '~ Credential key',
        '    spec.rollout.quietMs: 3 → 5',
        '1 new, 1 changed, 1 unchanged',
        'applied',
      ].join('\n'),
    )
    expect(cli.seen[0]?.body).toEqual({ apply: true, documents: [{ kind: 'Rule' }, { kind: 'Workload' }] })
  })

  test('--dry-run applies nothing', async () => {
    cli = await givenCli({ 'POST /v1/configuration': { applied: false, changes } })
    const { out } = await cli.rekey(['apply', '--dry-run', cli.file('a.yaml', 'kind: Rule')])
    expect(out).toContain('nothing was applied (--dry-run)')
    expect(cli.seen[0]?.body).toMatchObject({ apply: false })
  })

  test.each([
    [2, changes],
    [0, unchanged],
  ])('diff exits with %i', async (exit, answer) => {
    cli = await givenCli({ 'POST /v1/configuration': { applied: false, changes: answer } })
    expect((await cli.rekey(['diff', '-'], { input: 'kind: Rule' })).exit).toBe(exit)
    expect(cli.seen[0]?.body).toMatchObject({ apply: false })
  })

  test('a fault is named with its file, line and field', async () => {
    const faults = [
      {
        document: 1,
        kind: 'Rule',
        name: 'zone',
        field: 'spec.when.chnage',
        message: 'there is no such field',
      },
      { document: 1, kind: 'Rule', name: 'zone', field: 'spec.rotate', message: 'is missing' },
    ]
    cli = await givenCli({
      'POST /v1/configuration': (_seen: unknown, response: Parameters<typeof problem>[0]) =>
        problem(response, 422, 'invalid_configuration', 'x', { faults }),
    })
    const file = cli.file('a.yaml', 'kind: Workload\n---\nkind: Rule\nspec:\n  when:\n    chnage: [x]\n')
    const { exit, err } = await cli.rekey(['apply', file])
    expect(exit).toBe(1)
    expect(err).toContain(`${file}:6: Rule zone: spec.when.chnage: there is no such field`)
    expect(err).toContain(`${file}:4: Rule zone: spec.rotate: is missing`)
  })

  test.each([
    ['bad indentation', 'kind: Rule\nspec:\n  a: 1\n b: 2\n', ':4: '],
    ['a key that is given twice', 'kind: Rule\nkind: Rule\n', ':2: Map keys must be unique'],
    ['an unfinished string', 'kind: "Rule\n', ':'],
    [
      'too many aliases',
      `a: &a [x]\n${'b'}: &b [${'*a,'.repeat(20)}]\nc: &c [${'*b,'.repeat(20)}]\nd: [${'*c,'.repeat(20)}]`,
      'alias',
    ],
  ])('%s is an error with its line, and nothing is sent', async (_what, yaml, expected) => {
    cli = await givenCli()
    const file = cli.file('a.yaml', yaml)
    const { exit, err } = await cli.rekey(['apply', file])
    expect(exit).toBe(1)
    expect(err).toContain(file)
    expect(err).toContain(expected)
    expect(cli.seen).toEqual([])
  })

  test('a folder is read whole, and one without YAML is an error', async () => {
    cli = await givenCli({ 'POST /v1/configuration': { applied: true, changes: unchanged } })
    expect((await cli.rekey(['apply', cli.dir])).err).toContain('there is no document')
    cli.file('b.yml', 'kind: B')
    cli.file('a.yaml', 'kind: A')
    cli.file('c.txt', 'kind: C')
    expect((await cli.rekey(['apply', cli.dir])).out).toContain('nothing to do')
    expect(cli.seen[0]?.body).toMatchObject({ documents: [{ kind: 'A' }, { kind: 'B' }] })
    expect((await cli.rekey(['apply', join(cli.dir, 'nothing')])).err).toContain('ENOENT')
  })
})

describe('list and show', () => {
  const credential = {
    name: 'key',
    workload: 'chat',
    purpose: 'api',
    owner: 'team \u001b[31m',
    environment: 'prod',
    currentGeneration: 1,
    openRotation: null,
    nodes: { live: 3, lost: 0 },
    generations: [
      { generation: 1, label: 'current', validity: 'active', keyId: 'key.g1', storeVersions: { vault: '2' } },
    ],
  }

  test('print aligned columns, without what could steer a terminal', async () => {
    cli = await givenCli({ 'GET /v1/credentials': [credential] })
    expect((await cli.rekey(['list'])).out).toBe(
      [
        'CREDENTIAL  WORKLOAD  ENVIRONMENT  OWNER      GENERATION  NODES   ROTATION',
        'key         chat      prod         team [31m  1           3 live  -',
      ].join('\n'),
    )
  })

  test('show finds a credential, and says so when there is nothing of that name', async () => {
    cli = await givenCli({ 'GET /v1/credentials/key': credential })
    expect((await cli.rekey(['show', 'key'])).out).toContain('1           current  active    key.g1  vault 2')
    expect((await cli.rekey(['show', 'key', '--json'])).out).toBe(JSON.stringify(credential))
    expect(await cli.rekey(['show', 'nobody'])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('no credential and no rotation named nobody'),
    })
  })

  test('a word that cannot be listed', async () => {
    cli = await givenCli()
    expect(await cli.rekey(['list', 'secrets'])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('credentials'),
    })
  })
})

describe('rules test', () => {
  const event = readFileSync(new URL('../../../examples/events/zonechanged.json', import.meta.url), 'utf8')
  const answer = {
    judgement: 'rotate',
    reason: 'chat-gateway changed, and a credential must rotate',
    change: {},
    differences: [{ field: 'zone', was: 'a', is: 'b' }],
    matches: [{ rule: 'r', credential: 'key', openRotation: null }],
  }

  test('says which rule rotates what', async () => {
    cli = await givenCli({ 'POST /v1/rules/test': answer })
    const { exit, out } = await cli.rekey(['rules', 'test', '-'], { input: event })
    expect(exit).toBe(0)
    expect(out).toContain('zone: a → b\n  rule r rotates key')
  })

  test('exits with 10 when nothing would rotate, and with 1 for what is no event', async () => {
    cli = await givenCli({
      'POST /v1/rules/test': { ...answer, judgement: 'no-change', differences: [], matches: [] },
    })
    expect((await cli.rekey(['rules', 'test', '-'], { input: event })).exit).toBe(10)
    const wrong = await cli.rekey(['rules', 'test', '-'], { input: '{"id": "x"}' })
    expect(wrong).toMatchObject({
      exit: 1,
      err: expect.stringContaining('stdin: value.specversion is missing'),
    })
  })
})

describe('node', () => {
  const answer = { token: 'join-me', expiresAt: '2026-11-21T10:15:00.000Z' }

  test('token shows it, or writes it for nobody else to read', async () => {
    cli = await givenCli({ 'POST /v1/nodes/n1/token': answer })
    const argv = ['node', 'token', 'n1', '--workload', 'chat']
    expect(await cli.rekey([...argv, '--ttl', '5m'])).toMatchObject({ exit: 0, out: 'join-me' })
    expect(cli.seen[0]?.body).toEqual({ workload: 'chat', ttlMs: 300_000 })

    const file = join(cli.dir, 'n1.token')
    const written = await cli.rekey([...argv, '--out', file])
    expect(written.out + written.err).not.toContain('join-me')
    expect(readFileSync(file, 'utf8')).toBe('join-me')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await cli.rekey([...argv, '--out', file])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('EEXIST'),
    })
  })

  test('gone needs a reason', async () => {
    cli = await givenCli({ 'POST /v1/nodes/n1/gone': { node: 'n1', state: 'gone' } })
    expect(await cli.rekey(['node', 'gone', 'n1'])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('--reason'),
    })
    expect((await cli.rekey(['node', 'gone', 'n1', '--reason', 'scrapped'])).exit).toBe(0)
  })
})

describe('what goes wrong', () => {
  test('an unknown verb, an unknown option and a missing argument', async () => {
    cli = await givenCli()
    for (const argv of [['rotat'], ['list', '--colour'], ['rotate', '--reason', 'x'], []])
      expect((await cli.rekey(argv)).exit).toBe(1)
    expect((await cli.rekey(['rotate', 'key', '--reason', 'x', '--wait', '--timeout', '5'])).err).toContain(
      'is not a duration',
    )
    expect(cli.seen).toEqual([])
  })

  test('control that cannot be reached, and what to do', async () => {
    cli = await givenCli()
    const { exit, err } = await cli.rekey(['list', '--url', 'http://127.0.0.1:1'])
    expect(exit).toBe(1)
    expect(err).toMatch(/control at http:\/\/127\.0\.0\.1:1\/ cannot be reached.*\n.*REKEY_URL/)
  })

  test('something that is not control', async () => {
    cli = await givenCli({
      'GET /v1/credentials': (_seen: unknown, response: Parameters<typeof problem>[0]) => {
        response.end('<html>')
        return undefined
      },
    })
    expect((await cli.rekey(['list'])).err).toContain("not as Rekey's control does")
  })

  test('a redirection, after which the token would be somewhere else', async () => {
    cli = await givenCli({
      'GET /v1/credentials': (_seen: unknown, response: Parameters<typeof problem>[0]) => {
        response.writeHead(302, { location: '/v1/elsewhere' }).end()
        return undefined
      },
    })
    expect((await cli.rekey(['list'])).exit).toBe(1)
    expect(cli.seen).toHaveLength(1)
  })

  test('no token, a missing file, and a name that cannot be recorded', async () => {
    cli = await givenCli()
    expect((await cli.rekey(['list'], { env: { REKEY_TOKEN_FILE: '' } })).err).toContain('REKEY_TOKEN_FILE')
    expect((await cli.rekey(['list', '--token-file', '/nothing'])).err).toContain('ENOENT')
    expect((await cli.rekey(['list', '--actor', 'a b'])).err).toContain('cannot be recorded')
    expect(cli.seen).toEqual([])
  })

  test('what the policies deny: said as control says it, with an exit code of its own', async () => {
    const detail = 'User::"ci" may not rotate Credential::"key": no policy permits it'
    cli = await givenCli({
      'POST /v1/credentials/key/rotate': (_seen: Seen, response: ServerResponse) =>
        problem(response, 403, 'denied', detail, { denied: { policies: [] } }),
    })
    expect(await cli.rekey(['rotate', 'key', '--reason', 'x'])).toMatchObject({
      exit: 3,
      err: `error: ${detail}\n       Do better.`,
    })
  })

  test('a token that is renewed in its file is used from then on, and may be long', async () => {
    cli = await givenCli({ 'GET /v1/nodes': [] })
    const token = `eyJ${'a'.repeat(9_000)}`
    writeFileSync(cli.tokenFile, token)
    expect((await cli.rekey(['node', 'list'])).exit).toBe(0)
    expect(cli.seen[0]?.headers).toMatchObject({ authorization: `Bearer ${token}`, 'x-rekey-actor': 'ana' })
    const read = readSettings({ url: cli.url, tokenFile: cli.tokenFile }, { USER: 'ana' })
    writeFileSync(cli.tokenFile, 'another')
    await new ControlClient(read).nodes()
    expect(cli.seen[1]?.headers.authorization).toBe('Bearer another')
  })

  test('--json prints the error as JSON, and the token is never shown', async () => {
    cli = await givenCli({
      'GET /v1/credentials': (_seen: unknown, response: Parameters<typeof problem>[0]) =>
        problem(response, 401, 'unauthenticated', 'wrong token'),
    })
    const { exit, out, err } = await cli.rekey(['list', '--json'])
    expect(exit).toBe(1)
    expect(JSON.parse(err)).toEqual({
      error: {
        code: 'unauthenticated',
        message: 'wrong token',
        remedy: expect.stringContaining('REKEY_TOKEN_FILE or --token-file'),
      },
    })
    expect(out + err).not.toContain(TOKEN)
  })

  test('colours come only where they are wanted', async () => {
    cli = await givenCli()
    expect((await cli.rekey(['list'], { colour: true })).err).toContain('\u001b[31merror:')
    expect((await cli.rekey(['list'])).err).not.toContain('\u001b')
  })

  test('an order without a reason is refused before it is given', async () => {
    cli = await givenCli()
    const verbs = ['rotate', 'expedite', 'contain', 'retire', 'rollback', 'hold', 'resume'].map((v) => [v])
    for (const verb of [...verbs, ['excuse', '--for', '1h'], ['node', 'gone']])
      expect(await cli.rekey([...verb, 'x', '--reason', ' '])).toMatchObject({
        exit: 1,
        err: expect.stringContaining('give a reason'),
      })
    expect(cli.seen).toEqual([])
  })

  test('--version is answered offline', async () => {
    cli = await givenCli()
    expect(await cli.rekey(['--version'])).toMatchObject({
      exit: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    })
    expect(cli.seen).toEqual([])
  })

  test('version works without control', async () => {
    cli = await givenCli()
    expect(await cli.rekey(['version'], { env: { REKEY_TOKEN_FILE: '' } })).toMatchObject({
      exit: 0,
      out: expect.stringContaining('not reached'),
    })
  })
})

describe('event send', () => {
  const event = readFileSync(new URL('../../../examples/events/zonechanged.json', import.meta.url), 'utf8')

  test('without Kafka says what is missing', async () => {
    cli = await givenCli()
    expect(await cli.rekey(['event', 'send', '-'], { input: event })).toMatchObject({
      exit: 1,
      err: expect.stringContaining('KAFKA_BROKERS is not set'),
    })
  })

  test('refuses an id that was used with other content, before it is sent', async () => {
    cli = await givenCli({
      'GET /v1/verdicts/example-zonechanged': { verdict: 'rotation-opened', digest: 'other', rotations: [] },
    })
    expect(await cli.rekey(['event', 'send', '-', '--wait'], { input: event })).toMatchObject({
      exit: 1,
      err: expect.stringContaining('used before with other content'),
    })
  })

  test('refuses what is no event, and what is no emitter', async () => {
    cli = await givenCli()
    expect((await cli.rekey(['event', 'send', '-'], { input: '{' })).err).toContain(
      'stdin: value: malformed JSON',
    )
    expect((await cli.rekey(['event', 'send', '-', '--emitter', '../x'], { input: event })).err).toContain(
      'emitter',
    )
  })
})
