import { afterEach, expect, test } from 'vitest'
import { givenCli } from './given-cli.ts'

let cli: Awaited<ReturnType<typeof givenCli>>
afterEach(() => cli.close())

const STORE = { store: 'vault', kind: 'foreign', governed: '6', seen: '7', shows: null }
const DRIFT = {
  id: 3,
  credential: 'key',
  owner: 'team-ai',
  environment: 'prod',
  generation: 2,
  foundAt: '2026-11-22T09:00:00.000Z',
  stores: [STORE],
  order: null as object | null,
}
const look = (over: object = {}) => ({
  credential: 'key',
  asked: 5,
  answered: 5,
  lookedAt: DRIFT.foundAt,
  stores: [{ state: 'drifted', ...STORE }],
  openRotation: null,
  drift: DRIFT,
  ...over,
})
const GOVERNED = { store: 'vault', state: 'governed' }
const UNKNOWN = { store: 'aws', state: 'unknown', error: 'throttled: later' }

test.each([
  [
    'a value that nobody knows',
    STORE,
    'vault shows a value that Rekey did not write (version 7 in place of 6)',
  ],
  ['nothing', { ...STORE, kind: 'missing', seen: null }, 'vault shows nothing (version none in place of 6)'],
  ['an older one', { ...STORE, kind: 'other-generation', shows: 1 }, 'vault shows generation 1 ('],
  ['the right one', { ...STORE, kind: 'rewritten' }, 'the right value in a version that Rekey did not write'],
])('the list says what a store shows: %s', async (_, store, words) => {
  cli = await givenCli({ 'GET /v1/drift': [{ ...DRIFT, stores: [store] }] })
  expect(await cli.rekey(['drift', 'list'])).toMatchObject({ exit: 2, out: expect.stringContaining(words) })
})

test('an empty list is said, and exits with 0', async () => {
  cli = await givenCli({ 'GET /v1/drift': [] })
  expect(await cli.rekey(['drift', 'list'])).toMatchObject({
    exit: 0,
    out: expect.stringContaining('no store'),
  })
})

test.each([
  ['all is as written', { stores: [GOVERNED], drift: null }, 0, 'vault shows what Rekey wrote'],
  ['something drifted', {}, 2, 'rekey drift settle key'],
  ['something is not known', { stores: [GOVERNED, UNKNOWN], drift: null }, 1, 'aws is not known: throttled'],
])('a look exits by what it found: %s', async (_, over, exit, words) => {
  let looks = 0
  cli = await givenCli({
    'POST /v1/credentials/key/drift/look': { asked: 5 },
    'GET /v1/credentials/key/drift': () => look({ ...over, answered: looks++ === 0 ? 4 : 5 }),
  })
  expect(await cli.rekey(['drift', 'look', 'key'])).toMatchObject({
    exit,
    out: expect.stringContaining(words),
  })
})

test('a look that nobody makes ends, and one that a rotation overtakes says so', async () => {
  cli = await givenCli({
    'POST /v1/credentials/key/drift/look': { asked: 6 },
    'GET /v1/credentials/key/drift': look(),
  })
  const { exit, err } = await cli.rekey(['drift', 'look', 'key', '--timeout', '1s'])
  expect({ exit, err }).toMatchObject({ exit: 1, err: expect.stringContaining('no rotator has looked') })
  await cli.close()
  cli = await givenCli({
    'POST /v1/credentials/key/drift/look': { asked: 6 },
    'GET /v1/credentials/key/drift': look({ openRotation: 'key-g3' }),
  })
  expect(await cli.rekey(['drift', 'look', 'key'])).toMatchObject({
    exit: 1,
    err: expect.stringContaining('key-g3 was opened meanwhile'),
  })
})

const settle = (...more: string[]) =>
  cli.rekey(['drift', 'settle', 'key', '--reason', 'edited by mistake', ...more])

test('an order says what was seen, why and under which key', async () => {
  const stores = [STORE, { ...STORE, store: 'aws', kind: 'missing', seen: null }]
  cli = await givenCli({
    'GET /v1/credentials/key/drift': look({ drift: { ...DRIFT, stores } }),
    'POST /v1/credentials/key/drift/settle': { drift: 3, rotation: 'key-g3' },
  })
  expect(await settle('--json', '--ticket', 'OPS-1')).toMatchObject({
    exit: 0,
    out: '{"drift":3,"rotation":"key-g3"}',
  })
  expect(cli.seen.at(-1)).toMatchObject({
    body: { seen: { vault: '7', aws: null }, reason: 'edited by mistake', ticket: 'OPS-1' },
    headers: { 'idempotency-key': expect.any(String) },
  })
  expect(await settle()).toMatchObject({
    out: expect.stringMatching(/^vault shows a value.*\naws shows nothing.*\nkey-g3 replaces that$/),
  })
})

test.each([
  [['--seen', 'vault=6', '--seen', 'aws=none'], { vault: '6', aws: null }],
  [['--seen', 'aws=a=b'], { aws: 'a=b' }],
])('an order is about what is told, not about what is there by now: %j', async (seen, sent) => {
  cli = await givenCli({
    'GET /v1/credentials/key/drift': look(),
    'POST /v1/credentials/key/drift/settle': { drift: 3, rotation: 'key-g3' },
  })
  await settle(...seen)
  expect(cli.seen.at(-1)).toMatchObject({ body: { seen: sent } })
  expect(await settle('--seen', 'vault')).toMatchObject({ exit: 1, err: expect.stringContaining('vault=7') })
})

test('nothing is ordered where nothing is known', async () => {
  cli = await givenCli({ 'GET /v1/credentials/key/drift': look({ drift: null, stores: [GOVERNED] }) })
  expect(await settle()).toMatchObject({ exit: 1, err: expect.stringContaining('rekey drift look key') })
  expect(cli.seen).toHaveLength(1)
})

test('what drifted stands in the list of credentials and in each', async () => {
  const credential = {
    name: 'key',
    workload: 'chat',
    purpose: 'api',
    owner: 'team-ai',
    environment: 'prod',
    currentGeneration: 2,
    openRotation: null,
    dueAt: null,
    paused: null,
    retiredAt: null,
    nodes: { live: 1, lost: 0 },
    drift: { id: 3, foundAt: DRIFT.foundAt, stores: [STORE] },
    generations: [],
  }
  cli = await givenCli({ 'GET /v1/credentials': [credential], 'GET /v1/credentials/key': credential })
  expect((await cli.rekey(['list'])).out).toMatch(/DRIFT\n.* vault$/)
  expect((await cli.rekey(['show', 'key'])).out).toMatch(/drift +vault shows a value/)
})
