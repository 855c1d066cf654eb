import { afterEach, beforeEach, expect, test } from 'vitest'
import { credential, type GivenControl, givenControl, rule, workload } from './given-control.ts'
import { scriptedWorkers } from './scripted-workers.ts'

let control: GivenControl
beforeEach(async () => {
  control = await givenControl()
  await control.post('configuration', { documents: [workload(), credential(), rule()], apply: true })
  const workers = scriptedWorkers(control.ledger)
  await expect
    .poll(async () => (await control.ledger.showRotation('key-g1')).outcome, { timeout: 30_000 })
    .toBe('closed')
  await workers.stop()
})
afterEach(() => control.close())

const SEEN = { vault: 'by hand' }

/** A rotator that finds another version than the one that was written. */
async function drift(): Promise<void> {
  expect(await control.post('credentials/key/drift/look', {})).toMatchObject({ status: 200 })
  const [taken] = await control.ledger.takeLooks({ onlyAsked: true, limit: 1, leaseMs: 30_000 })
  if (!taken) throw new Error('nothing was asked')
  const seen = Object.keys(taken.governed).map((store) => ({
    store,
    storeVersion: 'by hand',
    hasValue: true,
    fingerprint: null,
  }))
  await control.ledger.recordLook(taken, seen, 900_000, 'rotator')
}
const settle = (seen: object = SEEN, headers?: Record<string, string>) =>
  control.post('credentials/key/drift/settle', { seen, reason: 'edited by mistake' }, headers)

test('what drifted is found by a look that somebody asked for, and is shown', async () => {
  expect(await control.get('drift')).toEqual({ status: 200, body: [] })
  expect(await control.get('credentials/key')).toMatchObject({ body: { drift: null } })
  expect(await settle()).toMatchObject({ status: 409, body: { code: 'not_allowed_now' } })
  await drift()
  const stores = [{ kind: 'foreign', seen: 'by hand', shows: null }]
  expect(await control.get('drift')).toMatchObject({ body: [{ credential: 'key', stores, order: null }] })
  expect(await control.get('credentials/key')).toMatchObject({ body: { drift: { stores } } })
  expect(await control.get('credentials/key/drift')).toMatchObject({
    body: { asked: 1, answered: 1, stores: [{ state: 'drifted' }], drift: { stores } },
  })
  expect(await control.get('credentials/nothing/drift')).toMatchObject({ status: 404 })
})

test('settling it is ordered once for a key, under the name of who gave it', async () => {
  await drift()
  const key = { 'idempotency-key': 'k1' }
  const first = await settle(SEEN, key)
  expect(first).toMatchObject({ status: 200, body: { rotation: 'key-g2' } })
  expect(await settle(SEEN, key)).toEqual(first)
  expect(await settle({ vault: 'another' }, key)).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect(await settle({ vault: 7 })).toMatchObject({ status: 400 })
  expect(await control.get('drift')).toMatchObject({
    body: [{ order: { rotation: 'key-g2', by: 'operator/ana' } }],
  })
  const entries = await control.ledger.journal({ stream: 'credential/key' })
  expect(entries.map(({ type, actor }) => [type, actor])).toEqual([
    ['DriftFound', 'rotator'],
    ['DriftSettlementOrdered', 'operator/ana'],
  ])
})

test('what is about other versions than there are is refused', async () => {
  await drift()
  for (const seen of [{}, { vault: 'another' }, { ...SEEN, aws: null }])
    expect(await settle(seen)).toMatchObject({ status: 409, body: { code: 'not_allowed_now' } })
})

test('the rotation that settles it is an ordinary one, and goes before a look', async () => {
  await drift()
  expect(await settle()).toMatchObject({ status: 200, body: { rotation: 'key-g2' } })
  expect(await control.get('rotations/key-g2')).toMatchObject({
    body: { cause: { kind: 'order', reason: expect.stringContaining('had drifted: edited by mistake') } },
  })
  // The same rotation, said once more.
  expect(await settle()).toMatchObject({ status: 200, body: { rotation: 'key-g2' } })
  expect(await control.post('credentials/key/drift/look', {})).toMatchObject({
    status: 409,
    body: { code: 'not_allowed_now' },
  })
})
