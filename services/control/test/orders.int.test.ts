import { newEvent } from '@rekey/events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DOCUMENTS, type GivenControl, givenControl, TOKEN } from './given-control.ts'
import { scriptedWorkers } from './scripted-workers.ts'

let control: GivenControl
let workers: { stop(): Promise<void> } | undefined
beforeEach(async () => {
  control = await givenControl()
  await control.post('configuration', { documents: DOCUMENTS, apply: true })
})
afterEach(async () => {
  await workers?.stop()
  workers = undefined
  await control.close()
})

const zoneChanged = (id: string, zone: string, workload = 'chat', environment = 'prod') =>
  newEvent(
    { type: 'zonechanged', workload, environment, facts: { zone } },
    { id, source: '/ci', at: new Date() },
  )

function structured(event: ReturnType<typeof zoneChanged>) {
  const { extensions, ...rest } = event
  return { ...rest, ...extensions }
}

/** The whole stream, until control ends it. */
async function watched(rotation: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${control.url}/v1/rotations/${rotation}/watch`, {
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
  })
  const text = await response.text()
  const types = [...text.matchAll(/^event: journal\ndata: (.*)$/gm)].map((m) => JSON.parse(m[1] ?? '').type)
  return { response, text, types }
}

test('a watch tells every entry as it comes, and ends with the outcome', async () => {
  const watching = watched('key-g1')
  workers = scriptedWorkers(control.ledger)
  const { response, text, types } = await watching
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  expect(types[0]).toBe('RotationOpened')
  expect(types.at(-1)).toBe('RotationClosed')
  expect(text).toMatch(/event: end\ndata: {"outcome":"closed","exceptions":\[\]}\n\n$/)
  const { body } = await control.get('rotations/key-g1/journal')
  expect(types).toEqual((body as { type: string }[]).map((entry) => entry.type))
})

test('a watch that broke goes on after the last entry that came', async () => {
  workers = scriptedWorkers(control.ledger)
  const { text, types } = await watched('key-g1')
  const third = [...text.matchAll(/^id: (\d+)$/gm)][2]?.[1] ?? ''
  expect((await watched('key-g1', { 'last-event-id': third })).types).toEqual(types.slice(3))
})

test('a rotation that ends nothing is watched until its reader goes, and control still closes', async () => {
  const reader = new AbortController()
  const response = await fetch(`${control.url}/v1/rotations/key-g1/watch`, {
    headers: { authorization: `Bearer ${TOKEN}` },
    signal: reader.signal,
  })
  let text = ''
  for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += piece
    if (text.includes(': nothing new')) break
  }
  expect(text).toContain('RotationOpened')
  reader.abort()
  // A second one stays open: `afterEach` shows that closing does not wait for it.
  await fetch(`${control.url}/v1/rotations/key-g1/watch`, { headers: { authorization: `Bearer ${TOKEN}` } })
})

test('an order opens a rotation, is recorded with its actor, and a second one joins', async () => {
  workers = scriptedWorkers(control.ledger)
  await watched('key-g1')
  await workers.stop()
  const first = await control.post('credentials/key/rotate', { reason: 'contractor left' })
  expect(first).toEqual({ status: 200, body: { rotation: 'key-g2', how: 'opened' } })
  const second = await control.post('credentials/key/rotate', { reason: 'again' })
  expect(second.body).toEqual({ rotation: 'key-g2', how: 'joined' })
  expect((await control.get('rotations?credential=key&limit=1')).body).toMatchObject([
    { id: 'key-g2', causes: 2, cause: { kind: 'order', actor: 'operator/ana', reason: 'contractor left' } },
  ])
  workers = scriptedWorkers(control.ledger)
  expect((await watched('key-g2')).text).toContain('"outcome":"closed"')
  expect((await control.get('credentials/key')).body).toMatchObject({
    currentGeneration: 2,
    openRotation: null,
  })
})

test('a rollback is taken while there is a way back, and refused with 409 after the end', async () => {
  workers = scriptedWorkers(control.ledger)
  await watched('key-g1')
  await workers.stop()
  await control.post('credentials/key/rotate', { reason: 'x' })
  workers = scriptedWorkers(control.ledger, { breaks: 'promote' })
  await expect
    .poll(async () => (await control.get('rotations/key-g2')).body, { timeout: 20_000 })
    .toMatchObject({ phase: 'Promoting', hold: { reason: 'effect_failed' } })
  await workers.stop()
  const taken = await control.post('rotations/key-g2/rollback', { reason: 'wrong vendor' })
  expect(taken).toMatchObject({ status: 200, body: { id: 'key-g2', phase: 'RollingBack' } })
  workers = scriptedWorkers(control.ledger)
  expect((await watched('key-g2')).text).toContain('"outcome":"rolled-back"')
  expect(await control.post('rotations/key-g2/rollback', { reason: 'again' })).toMatchObject({
    status: 409,
    body: { code: 'not_allowed_now', detail: 'key-g2: the rotation has ended (rolled-back)' },
  })
})

test('what nothing outside knows of is cancelled at once', async () => {
  workers = scriptedWorkers(control.ledger)
  await watched('key-g1')
  await workers.stop()
  await control.post('credentials/key/rotate', { reason: 'x' })
  expect(await control.post('rotations/key-g2/rollback', { reason: 'mistake' })).toMatchObject({
    status: 200,
    body: { phase: 'Cancelled', outcome: 'cancelled' },
  })
})

test('a held rotation says why, and resume tries again', async () => {
  workers = scriptedWorkers(control.ledger, { breaks: 'stage' })
  await expect
    .poll(async () => (await control.get('rotations/key-g1')).body, { timeout: 10_000 })
    .toMatchObject({ hold: { reason: 'effect_failed', detail: 'permission_denied: as scripted' } })
  await workers.stop()
  workers = scriptedWorkers(control.ledger)
  expect((await control.post('rotations/key-g1/resume', { reason: 'granted' })).status).toBe(200)
  expect((await watched('key-g1')).text).toContain('"outcome":"closed"')
  expect(await control.post('rotations/key-g1/resume', { reason: 'x' })).toMatchObject({ status: 409 })
})

describe('what is not there', () => {
  test.each([
    'credentials/nobody',
    'rotations/key-g9',
    'rotations/key-g9/journal',
    'rotations/key-g9/watch',
    'verdicts/e-1',
  ])('GET %s is a 404 with a remedy', async (path) => {
    expect(await control.get(path)).toMatchObject({
      status: 404,
      body: { code: 'not_found', remedy: expect.stringContaining('Check') },
    })
  })
  test.each([
    ['credentials/nobody/rotate', { reason: 'x' }],
    ['rotations/key-g9/rollback', { reason: 'x' }],
    ['nodes/n1/gone', { reason: 'x' }],
    ['nodes/n1/token', { workload: 'nothing' }],
  ])('POST %s is a 404', async (path, body) => {
    expect((await control.post(path, body)).status).toBe(404)
  })
})

test('verdicts are found by id and source', async () => {
  const { ledger } = control
  const change = { type: 'zonechanged', workload: 'chat', facts: { zone: 'b' } } as const
  await ledger.receive({ source: '/ci', id: 'e/1?x', digest: 'abc', emitter: 'demo', change })
  const path = `verdicts/${encodeURIComponent('e/1?x')}?source=%2Fci`
  expect((await control.get(path)).body).toMatchObject({
    verdict: 'joined',
    digest: 'abc',
    rotations: [{ credential: 'key', rotation: 'key-g1', rule: 'zone' }],
  })
  expect((await control.get(`${path}2`)).status).toBe(404)
})

describe('rules/test', () => {
  test.each([
    [
      'b',
      'chat',
      'prod',
      { judgement: 'rotate', matches: [{ rule: 'zone', credential: 'key', openRotation: 'key-g1' }] },
    ],
    ['a', 'chat', 'prod', { judgement: 'no-change', matches: [] }],
    [
      'b',
      'nobody',
      'prod',
      { judgement: 'unknown-workload', reason: 'no workload named nobody is configured' },
    ],
    [
      'b',
      'chat',
      'dev',
      { judgement: 'unknown-workload', reason: expect.stringContaining('known in the environment prod') },
    ],
  ])('zone %s of %s in %s', async (zone, name, environment, expected) => {
    const before = await control.ledger.journal({})
    const { status, body } = await control.post('rules/test', {
      event: structured(zoneChanged('e', zone, name, environment)),
    })
    expect(status).toBe(200)
    expect(body).toMatchObject(expected)
    expect(await control.ledger.journal({})).toEqual(before)
    expect((await control.get('workloads')).body).toMatchObject([{ known: { zone: 'a' } }])
  })

  test('an event that intake would reject', async () => {
    const { source: _source, ...event } = structured(zoneChanged('e', 'b'))
    expect(await control.post('rules/test', { event })).toMatchObject({
      status: 422,
      body: { code: 'invalid_event', detail: 'intake would reject it: value.source is missing' },
    })
  })
})

test('a join token enrols one node, which is listed and can be declared gone', async () => {
  const { body } = await control.post('nodes/n1/token', { workload: 'chat', ttlMs: 60_000 })
  expect(await control.ledger.fleet.redeemJoinToken('n1', String(body.token))).toMatchObject({ node: 'n1' })
  expect(await control.ledger.fleet.redeemJoinToken('n1', String(body.token))).toBeUndefined()
  expect((await control.get('nodes')).body).toMatchObject([{ node: 'n1', workload: 'chat', state: 'lost' }])
  await control.post('nodes/n1/gone', { reason: 'scrapped' })
  expect((await control.get('nodes')).body).toMatchObject([{ node: 'n1', state: 'gone' }])
})

describe('an order that is given under a key', () => {
  const under = (key: string) => ({ 'idempotency-key': key })
  const rotations = async () => (await control.get('rotations')).body as { id: string; followUps: number }[]

  test('is carried out once, whoever repeats it and however they word it', async () => {
    const first = await control.post('credentials/key/rotate', { reason: 'it is old' }, under('INC-7'))
    expect(first).toMatchObject({ status: 200, body: { rotation: 'key-g1' } })
    const repeats = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        control.post(
          'credentials/key/rotate',
          { reason: `again ${n}`, ticket: 'INC-7' },
          { ...under('INC-7'), 'x-rekey-actor': `ben-${n}` },
        ),
      ),
    )
    for (const repeat of repeats) expect(repeat).toEqual(first)
    expect(await rotations()).toMatchObject([
      { id: 'key-g1', followUps: first.body.how === 'queued' ? 1 : 0 },
    ])
  })

  test('is carried out once where all of its repeats come at the same time', async () => {
    workers = scriptedWorkers(control.ledger)
    await watched('key-g1')
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => control.post('credentials/key/rotate', { reason: 'x' }, under('k'))),
    )
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect(answers[0]).toMatchObject({ status: 200, body: { rotation: 'key-g2', how: 'opened' } })
    await watched('key-g2')
    expect((await rotations()).map(({ id }) => id)).toEqual(['key-g2', 'key-g1'])
  })

  test('is refused where the key was given with another order', async () => {
    await control.post('credentials/key/rotate', { reason: 'x' }, under('k'))
    for (const [path, body] of [
      ['credentials/key/retire', { reason: 'x' }],
      ['credentials/key/contain', { reason: 'x', generations: [1] }],
      ['rotations/key-g1/hold', { reason: 'x' }],
    ] as const)
      expect(await control.post(path, body, under('k'))).toMatchObject({
        status: 409,
        body: { code: 'conflict', detail: 'the key k was given with another order' },
      })
  })

  test('and refused, was not given: it is judged again', async () => {
    const resume = () => control.post('rotations/key-g1/resume', { reason: 'go on' }, under('k'))
    expect(await resume()).toMatchObject({ status: 409, body: { code: 'not_allowed_now' } })
    await control.post('rotations/key-g1/hold', { reason: 'wait', ticket: 'OPS-1' })
    expect(await resume()).toMatchObject({ status: 200, body: { hold: null } })
    expect(await resume()).toMatchObject({ status: 200 })
  })

  test.each(['', 'two words', '\u00fc', 'x'.repeat(129)])('is refused under the key "%s"', async (key) => {
    const answer = await control.post('credentials/key/rotate', { reason: 'x' }, under(key))
    expect(answer).toMatchObject({ status: 400, body: { code: 'malformed_request' } })
  })
})

test('a ticket is kept with the order, in the view, the journal and the record of a hold', async () => {
  await control.post('credentials/key/contain', { reason: 'in a log', ticket: 'INC-7' })
  const { body } = await control.get('rotations/key-g1/journal')
  expect(JSON.stringify(body)).toContain('"ticket":"INC-7"')
  expect(await control.post('credentials/key/rotate', { reason: 'x', ticket: 'a\nb' })).toMatchObject({
    status: 400,
  })
})

describe('a pause', () => {
  const paused = async () => ((await control.get('credentials/key')).body as { paused: object | null }).paused
  const holds = async (rotation: string) =>
    ((await control.get(`rotations/${rotation}`)).body as { holds: { reason: string; detail: string }[] })
      .holds

  test('holds what is under way and what opens, until it is ended', async () => {
    expect(
      await control.post('pause', { reason: 'launch day', ticket: 'OPS-1', forMs: 3_600_000 }),
    ).toMatchObject({
      status: 200,
      body: { credentials: ['key'] },
    })
    const detail = 'held by operator/ana: launch day (ticket OPS-1)'
    expect(await holds('key-g1')).toMatchObject([{ reason: 'human', detail }])
    expect(await paused()).toMatchObject({ by: 'operator/ana', reason: 'launch day (ticket OPS-1)' })
    workers = scriptedWorkers(control.ledger)
    // Only what is under way is resumed: the next one opens in the same pause.
    await control.post('rotations/key-g1/resume', { reason: 'this one may go' })
    await watched('key-g1')
    await control.post('credentials/key/rotate', { reason: 'x' })
    expect(await holds('key-g2')).toMatchObject([{ reason: 'human', detail }])
    const ended = await control.post('credentials/key/pause/end', { reason: 'launched' })
    expect(ended).toEqual({ status: 200, body: { credentials: ['key'] } })
    expect(await paused()).toBeNull()
    expect((await watched('key-g2')).types.at(-1)).toBe('RotationClosed')
    expect(await control.ledger.journal({ stream: 'pause' })).toMatchObject([
      { type: 'Paused', data: { credentials: ['key'] } },
      { type: 'PauseEnded', data: { credentials: ['key'] } },
    ])
  })

  test('ends by itself', async () => {
    await control.post('credentials/key/pause', { reason: 'a moment', forMs: 1_000 })
    workers = scriptedWorkers(control.ledger)
    const { types } = await watched('key-g1')
    expect(types).toContain('HoldLifted')
    expect(types.at(-1)).toBe('RotationClosed')
    expect(await paused()).toBeNull()
  })

  test('stops no emergency', async () => {
    workers = scriptedWorkers(control.ledger)
    await watched('key-g1')
    await control.post('pause', { reason: 'launch day', forMs: 3_600_000 })
    await control.post('credentials/key/expedite', { reason: 'in a log' })
    expect((await watched('key-g2')).types.at(-1)).toBe('RotationClosed')
  })

  test('of what there is not is refused', async () => {
    const order = { reason: 'x', forMs: 60_000 }
    expect(await control.post('credentials/other/pause', order)).toMatchObject({ status: 404 })
    expect(await control.post('pause', { reason: 'x', forMs: 1 })).toMatchObject({ status: 400 })
  })
})
