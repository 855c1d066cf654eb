import { afterEach, describe, expect, test } from 'vitest'
import { givenCli, problem } from './given-cli.ts'

let cli: Awaited<ReturnType<typeof givenCli>>
afterEach(() => cli.close())

const REASON = ['--reason', 'in a log']

describe('an order about a credential', () => {
  test.each([
    ['rotate', [], undefined, 'key-g2 opened'],
    ['retire', [], undefined, 'key-g2 opened: the value ends, and none follows'],
    ['adopt', [], undefined, 'key-g2 opened: the value in use is taken over'],
    ['expedite', [], undefined, 'key-g2 opened, expedited'],
    ['expedite', ['--generation', '1'], [1], 'key-g2 opened, expedited'],
    ['contain', ['--generation', '1', '--generation', 'g2'], [1, 2], 'key-g2 opened: what leaked'],
  ])('%s %j says what it asks for', async (verb, more, generations, out) => {
    cli = await givenCli({ [`POST /v1/credentials/key/${verb}`]: { rotation: 'key-g2', how: 'opened' } })
    expect(await cli.rekey([verb, 'key', ...REASON, ...more])).toMatchObject({
      exit: 0,
      out: expect.stringContaining(out),
    })
    expect(cli.seen[0]?.body).toEqual({ reason: 'in a log', ...(generations && { generations }) })
  })

  test.each([
    ['expedite', 'joined', 'key-g2 was under way, and is expedited from here on'],
    ['contain', 'joined', 'key-g2 was under way: what leaked is being revoked now'],
    ['retire', 'queued', 'key-g2 is under way; the offboarding follows it'],
  ])('%s that is %s says so', async (verb, how, out) => {
    cli = await givenCli({ [`POST /v1/credentials/key/${verb}`]: { rotation: 'key-g2', how } })
    expect(await cli.rekey([verb, 'key', ...REASON])).toMatchObject({ exit: 0, out })
    expect((await cli.rekey([verb, 'key', ...REASON, '--json'])).out).toBe(
      JSON.stringify({ rotation: 'key-g2', how }),
    )
  })

  test.each(['0', '-1', '1.5', 'two', '1,2'])(
    '--generation %s is refused before it is given',
    async (text) => {
      cli = await givenCli()
      expect(await cli.rekey(['contain', 'key', ...REASON, `--generation=${text}`])).toMatchObject({
        exit: 1,
        err: expect.stringContaining(`"${text}" is not a generation`),
      })
      expect(cli.seen).toEqual([])
    },
  )

  test('only leaks name generations', async () => {
    cli = await givenCli()
    for (const verb of ['rotate', 'retire'])
      expect((await cli.rekey([verb, 'key', ...REASON, '--generation', '1'])).exit).toBe(1)
    expect(cli.seen).toEqual([])
  })

  test('that is refused exits with 1, and says why', async () => {
    cli = await givenCli({
      'POST /v1/credentials/key/contain': (_seen: unknown, response: Parameters<typeof problem>[0]) =>
        problem(response, 409, 'not_allowed_now', 'say which generation leaked: 1 and 2 are both in use'),
    })
    expect(await cli.rekey(['contain', 'key', ...REASON])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('1 and 2 are both in use'),
    })
  })
})

describe('an order about a rotation', () => {
  test.each([
    ['hold', { phase: 'Draining' }, 'key-g2 is held (Draining) until it is resumed'],
    ['resume', { phase: 'Draining' }, 'key-g2 goes on (Draining)'],
    ['rollback', { phase: 'RollingBack', goal: 'replace' }, 'key-g2 is being rolled back (RollingBack)'],
    ['rollback', { phase: 'Draining', goal: 'keep' }, 'key-g2 is being called off (Draining)'],
    ['rollback', { phase: 'Cancelled', outcome: 'cancelled' }, 'key-g2 is cancelled: nothing had changed'],
  ])('%s', async (verb, rotation, out) => {
    cli = await givenCli({ [`POST /v1/rotations/key-g2/${verb}`]: { id: 'key-g2', ...rotation } })
    expect(await cli.rekey([verb, 'key-g2', ...REASON])).toMatchObject({ exit: 0, out })
    expect(cli.seen[0]?.body).toEqual({ reason: 'in a log' })
  })
})

describe('excuse', () => {
  const answer = { node: 'n1', credential: null, forMs: 7_200_000 }

  test('waits for no proof of a node, of one credential or of all', async () => {
    cli = await givenCli({ 'POST /v1/nodes/n1/excuse': answer })
    expect(await cli.rekey(['excuse', 'n1', ...REASON, '--for', '2h'])).toMatchObject({
      exit: 0,
      out: 'nothing waits for n1 for 2h',
    })
    const one = await cli.rekey(['excuse', 'n1', ...REASON, '--for', '2h', '--credential', 'key'])
    expect(one.out).toBe('nothing waits for n1 with key for 2h')
    expect(cli.seen.map((s) => s.body)).toEqual([
      { reason: 'in a log', forMs: 7_200_000 },
      { reason: 'in a log', forMs: 7_200_000, credential: 'key' },
    ])
  })

  test('needs an end', async () => {
    cli = await givenCli()
    expect((await cli.rekey(['excuse', 'n1', ...REASON])).err).toContain('--for')
    expect((await cli.rekey(['excuse', 'n1', ...REASON, '--for', 'ever'])).err).toContain('is not a duration')
    expect(cli.seen).toEqual([])
  })
})

describe('list and show', () => {
  const rotation = {
    id: 'key-g3',
    credential: 'key',
    phase: 'Suspended',
    goal: 'replace',
    mode: 'contain',
    compromised: [1, 2],
    generation: 3,
    base: 1,
    cause: { kind: 'order', actor: 'operator/ana', reason: 'in a log' },
    causes: 1,
    followUps: 0,
    hold: null,
    holds: [] as object[],
    outcome: null,
    exceptions: ['excused n1'],
    openedAt: '2026-11-21T10:00:00.000Z',
    closedAt: null,
    waitsFor: [],
    drain: [],
    longestRequest: null,
    waves: [],
    nodes: [],
    effects: [],
    notifications: [],
  }
  const offboarding = {
    ...rotation,
    id: 'key-g2-end',
    goal: 'retire',
    mode: 'rotate',
    compromised: [],
    generation: null,
    base: 2,
    holds: [
      { reason: 'drain_cap', about: 'g2', detail: 'n1 uses it', at: 1 },
      { reason: 'human', about: 'key-g2-end', detail: 'held by operator/ana: wait', at: 2 },
    ],
  }

  test('show says the mode, the goal and what leaked', async () => {
    cli = await givenCli({ 'GET /v1/rotations/key-g3': rotation })
    const { out } = await cli.rekey(['show', 'key-g3'])
    expect(out).toMatch(/^phase +Suspended$/m)
    expect(out).toMatch(/^mode +contain$/m)
    expect(out).toMatch(/^goal +replace the value$/m)
    expect(out).toMatch(/^generation +1 → 3$/m)
    expect(out).toMatch(/^leaked +1, 2$/m)
    expect(out).toMatch(/^not shown +excused n1$/m)
  })

  test('show names every hold, and an offboarding has no successor', async () => {
    cli = await givenCli({ 'GET /v1/rotations/key-g2-end': offboarding })
    const { out } = await cli.rekey(['show', 'key-g2-end'])
    expect(out).toMatch(/^goal +end the value, with none to follow$/m)
    expect(out).toMatch(/^generation +2$/m)
    expect(out).not.toMatch(/^leaked/m)
    expect(out).toMatch(/^held +drain cap: n1 uses it$/m)
    expect(out).toMatch(/^held +held by operator\/ana: wait$/m)
  })

  test('list tells emergencies and offboardings from routine', async () => {
    cli = await givenCli({ 'GET /v1/rotations': [rotation, offboarding] })
    const { out } = await cli.rekey(['list', 'rotations'])
    expect(out).toMatch(/^key-g3 +contain +Suspended/m)
    expect(out).toMatch(/^key-g2-end +rotate, offboarding +Suspended/m)
  })
})

describe('every order', () => {
  const ORDERS: [string[], string][] = [
    [['rotate', 'key'], 'credentials/key/rotate'],
    [['expedite', 'key'], 'credentials/key/expedite'],
    [['contain', 'key'], 'credentials/key/contain'],
    [['retire', 'key'], 'credentials/key/retire'],
    [['rollback', 'key-g2'], 'rotations/key-g2/rollback'],
    [['hold', 'key-g2'], 'rotations/key-g2/hold'],
    [['resume', 'key-g2'], 'rotations/key-g2/resume'],
    [['excuse', 'n1', '--for', '1h'], 'nodes/n1/excuse'],
    [['node', 'gone', 'n1'], 'nodes/n1/gone'],
  ]
  type Response = Parameters<typeof problem>[0]

  test.each(ORDERS)('%j takes a ticket and a key', async (argv, path) => {
    cli = await givenCli({ [`POST /v1/${path}`]: { id: 'key-g2', rotation: 'key-g2', how: 'opened' } })
    const more = ['--ticket', 'INC-7', '--idempotency-key', 'INC-7/1']
    expect((await cli.rekey([...argv, ...REASON, ...more])).exit).toBe(0)
    expect(cli.seen[0]?.body).toMatchObject({ reason: 'in a log', ticket: 'INC-7' })
    expect(cli.seen[0]?.headers['idempotency-key']).toBe('INC-7/1')
  })

  test.each(ORDERS)('%j is sent again under the same key where its answer is lost', async (argv, path) => {
    let tries = 0
    cli = await givenCli({
      [`POST /v1/${path}`]: (_seen: unknown, response: Response) => {
        tries++
        if (tries === 1) return void response.destroy()
        if (tries === 2) return problem(response, 503, 'backend_unavailable', 'PostgreSQL cannot be reached')
        return { id: 'key-g2', rotation: 'key-g2', how: 'opened' }
      },
    })
    expect((await cli.rekey([...argv, ...REASON])).exit).toBe(0)
    const keys = cli.seen.map((seen) => seen.headers['idempotency-key'])
    expect(keys).toEqual([keys[0], keys[0], keys[0]])
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('is not sent again where it was refused', async () => {
    cli = await givenCli({
      'POST /v1/credentials/key/rotate': (_seen: unknown, response: Response) =>
        problem(response, 409, 'not_allowed_now', 'it was offboarded'),
    })
    expect((await cli.rekey(['rotate', 'key', ...REASON])).exit).toBe(1)
    expect(cli.seen).toHaveLength(1)
  })
})
