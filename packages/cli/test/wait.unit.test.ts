import { afterEach, describe, expect, test } from 'vitest'
import { entry, givenCli, problem, stream } from './given-cli.ts'

let cli: Awaited<ReturnType<typeof givenCli>>
afterEach(() => cli.close())

const started = { 'POST /v1/credentials/key/rotate': { rotation: 'key-g2', how: 'opened' } }
const ROTATE = ['rotate', 'key', '--reason', 'contractor left', '--wait']
const hold = entry('HoldPlaced', {
  hold: { reason: 'wave_deadline', about: 'r1', detail: 'no answer from n2', at: 1 },
})
const lifted = entry('HoldLifted', {
  reason: 'wave_deadline',
  about: 'r1',
  because: 'what it waited for happened',
})

describe('rotate --wait exits', () => {
  test('with 0 when it closed, having told what happened', async () => {
    const entries = [entry('StagingStarted', { generation: 2, waves: [['n1'], ['n2']] })]
    cli = await givenCli({ ...started, 'GET /v1/rotations/key-g2/watch': stream(entries, 'closed') })
    const { exit, out } = await cli.rekey(ROTATE)
    expect(exit).toBe(0)
    expect(out).toBe(
      [
        'key-g2 opened',
        '10:00:01  Staging: making generation 2; 2 nodes in 2 waves',
        'key-g2 closed: the old value is proved dead',
      ].join('\n'),
    )
    expect(cli.seen[0]).toMatchObject({
      body: { reason: 'contractor left' },
      headers: { 'x-rekey-actor': 'ana', authorization: 'Bearer a-token-that-only-tests-know' },
    })
  })

  test('with 20 when it was rolled back', async () => {
    cli = await givenCli({ ...started, 'GET /v1/rotations/key-g2/watch': stream([], 'rolled-back') })
    expect(await cli.rekey(ROTATE)).toMatchObject({
      exit: 20,
      out: expect.stringContaining('was rolled back'),
    })
  })

  test('with 20 when it was called off before anything had changed', async () => {
    cli = await givenCli({ ...started, 'GET /v1/rotations/key-g2/watch': stream([], 'cancelled') })
    expect(await cli.rekey(ROTATE)).toMatchObject({
      exit: 20,
      out: expect.stringContaining('key-g2 was cancelled'),
    })
  })

  test('with 30 when a human holds it', async () => {
    const human = { reason: 'human', about: 'key-g2', detail: 'held by operator/ben: wait', at: 1 }
    const entries = [entry('HoldPlaced', { hold: human })]
    cli = await givenCli({ ...started, 'GET /v1/rotations/key-g2/watch': stream(entries) })
    const { exit, out } = await cli.rekey([...ROTATE, '--hold-grace', '50ms'])
    expect(exit).toBe(30)
    expect(out).toContain('once you looked (held by operator/ben: wait)')
  })

  test('with 30 when a hold lasts', async () => {
    cli = await givenCli({ ...started, 'GET /v1/rotations/key-g2/watch': stream([hold]) })
    const { exit, out } = await cli.rekey([...ROTATE, '--hold-grace', '50ms'])
    expect(exit).toBe(30)
    expect(out).toContain('HELD: wave deadline: no answer from n2')
    expect(out).toContain('key-g2 is held; resume it or roll it back once you looked')
  })

  test('not with 30 when the hold is lifted in time', async () => {
    cli = await givenCli({
      ...started,
      'GET /v1/rotations/key-g2/watch': async (
        _seen: unknown,
        response: Parameters<ReturnType<typeof stream>>[1],
      ) => {
        stream([hold, lifted])(_seen as never, response)
        await new Promise((resolve) => setTimeout(resolve, 150))
        response.end('event: end\ndata: {"outcome":"closed","exceptions":[]}\n\n')
        return undefined
      },
    })
    expect((await cli.rekey([...ROTATE, '--hold-grace', '100ms'])).exit).toBe(0)
  })

  test('with 40 when the wait times out', async () => {
    cli = await givenCli({ ...started, 'GET /v1/rotations/key-g2/watch': stream([]) })
    expect(await cli.rekey([...ROTATE, '--timeout', '100ms'])).toMatchObject({
      exit: 40,
      out: expect.stringContaining('the wait for key-g2 timed out; it goes on'),
    })
  })

  test('with 1 when the order is refused', async () => {
    cli = await givenCli()
    expect(await cli.rekey(ROTATE)).toMatchObject({ exit: 1, err: expect.stringContaining('error: no /v1') })
  })

  test('by the rotation after it, when the order is queued behind one under way', async () => {
    cli = await givenCli({
      'POST /v1/credentials/key/rotate': { rotation: 'key-g2', how: 'queued' },
      'GET /v1/rotations/key-g2/watch': stream([], 'closed'),
      'GET /v1/rotations/key-g2': { openedAt: '2026-11-21T10:00:00.000Z' },
      'GET /v1/rotations': [
        { id: 'key-g4', openedAt: '2026-11-21T10:09:00.000Z' },
        { id: 'key-g3', openedAt: '2026-11-21T10:05:00.000Z' },
        { id: 'key-g2', openedAt: '2026-11-21T10:00:00.000Z' },
      ],
      'GET /v1/rotations/key-g3/watch': stream([], 'rolled-back'),
    })
    expect(await cli.rekey(ROTATE)).toMatchObject({
      exit: 20,
      out: expect.stringContaining('key-g3 was rolled'),
    })
  })
})

test('exits with 10 when what was queued never came, because the one before it offboarded the credential', async () => {
  const only = { id: 'key-g1-end', openedAt: '2026-11-21T10:00:00.000Z' }
  cli = await givenCli({
    'POST /v1/credentials/key/rotate': { rotation: 'key-g1-end', how: 'queued' },
    'GET /v1/rotations/key-g1-end/watch': stream([], 'closed'),
    'GET /v1/rotations/key-g1-end': only,
    'GET /v1/rotations': [only],
  })
  expect(await cli.rekey(ROTATE)).toMatchObject({
    exit: 10,
    out: expect.stringContaining('no rotation of key followed key-g1-end'),
  })
})

test('--json prints one object a line, the last one with the outcome', async () => {
  cli = await givenCli({ ...started, 'GET /v1/rotations/key-g2/watch': stream([lifted], 'closed') })
  const { out } = await cli.rekey([...ROTATE, '--json'])
  const lines = out.split('\n').map((line) => JSON.parse(line))
  expect(lines.map((line) => line.type)).toEqual(['started', 'entry', 'end'])
  expect(lines.at(-1)).toMatchObject({ rotation: 'key-g2', end: 'closed', exit: 0 })
})

describe('watch', () => {
  test('of a credential follows what is under way', async () => {
    cli = await givenCli({
      'GET /v1/credentials/key': { openRotation: 'key-g2' },
      'GET /v1/rotations/key-g2/watch': stream([hold, lifted], 'closed'),
    })
    expect((await cli.rekey(['watch', 'key'])).exit).toBe(0)
  })

  test('exits with 10 when nothing is under way', async () => {
    cli = await givenCli({ 'GET /v1/credentials/key': { openRotation: null } })
    expect(await cli.rekey(['watch', 'key'])).toMatchObject({
      exit: 10,
      out: 'no rotation of key is under way',
    })
  })

  test('goes on after a break where it broke', async () => {
    let calls = 0
    const [first, second] = [
      entry('RollingStarted', { generation: 2 }),
      entry('SuccessorLive', { generation: 2 }),
    ]
    cli = await givenCli({
      'GET /v1/rotations/key-g2/watch': (
        seen: Parameters<ReturnType<typeof stream>>[0],
        response: Parameters<ReturnType<typeof stream>>[1],
      ) => {
        calls++
        if (calls === 1) {
          stream([first])(seen, response)
          setTimeout(() => response.destroy(), 30)
          return undefined
        }
        if (calls === 2) return problem(response, 503, 'backend_unavailable', 'starting')
        return stream([second], 'closed')(seen, response)
      },
    })
    const { exit, out } = await cli.rekey(['watch', 'key-g2'])
    expect(exit).toBe(0)
    expect(out.match(/Rolling/g)).toHaveLength(1)
    expect(out).toContain('generation 2 is live: every node there is has proved it')
    expect(cli.seen.filter((s) => s.url.includes('watch')).map((s) => s.url.split('after=')[1])).toEqual([
      '0',
      String(first.position),
      String(first.position),
    ])
  })

  test('of an unknown name is an error', async () => {
    cli = await givenCli()
    expect(await cli.rekey(['watch', 'nobody'])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('See `rekey list` and `rekey list rotations`.'),
    })
  })

  test('of a first value claims no dead one', async () => {
    const opened = entry('RotationOpened', {
      credential: 'key',
      base: null,
      generation: 1,
      cause: { kind: 'order', actor: 'operator/ana', reason: 'new' },
    })
    cli = await givenCli({ 'GET /v1/rotations/key-g1/watch': stream([opened], 'closed') })
    const { exit, out } = await cli.rekey(['watch', 'key-g1'])
    expect(exit).toBe(0)
    expect(out.split('\n').at(-1)).toBe('key-g1 closed: generation 1 is current in every store')
  })

  test('of an offboarding says that none follows', async () => {
    const opened = entry('RotationOpened', {
      credential: 'key',
      goal: 'retire',
      mode: 'rotate',
      base: 2,
      generation: null,
      cause: { kind: 'order', actor: 'operator/ana', reason: 'shut down' },
    })
    cli = await givenCli({ 'GET /v1/rotations/key-g2-end/watch': stream([opened], 'closed') })
    const { out } = await cli.rekey(['watch', 'key-g2-end'])
    expect(out.split('\n').at(-1)).toBe('key-g2-end closed: generation 2 is proved dead, and none follows')
  })

  test('of a first value that leaked and was replaced says what is current, or dead', async () => {
    const opened = { credential: 'key', base: null, generation: 1, cause: { kind: 'order', reason: 'new' } }
    const end = async (base: number | null) => {
      const entries = [entry('RotationOpened', opened), entry('SuccessorPlanned', { generation: 2, base })]
      cli = await givenCli({ 'GET /v1/rotations/key-g1/watch': stream(entries, 'closed') })
      const { out } = await cli.rekey(['watch', 'key-g1'])
      return out.split('\n').at(-1)
    }
    expect(await end(null)).toBe('key-g1 closed: generation 2 is current in every store')
    await cli.close()
    expect(await end(1)).toBe('key-g1 closed: the old value is proved dead')
  })

  test('reads its durations before it asks control', async () => {
    cli = await givenCli()
    for (const option of ['--timeout', '--hold-grace'])
      expect((await cli.rekey(['watch', 'key', option, 'soon'])).err).toContain('is not a duration')
    expect(cli.seen).toEqual([])
  })
})
