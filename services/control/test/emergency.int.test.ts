import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { credential, DOCUMENTS, type GivenControl, givenControl, rule, workload } from './given-control.ts'
import { scriptedWorkers } from './scripted-workers.ts'

let control: GivenControl
let workers: { stop(): Promise<void> } | undefined
beforeEach(async () => {
  control = await givenControl()
})
afterEach(async () => {
  await resting()
  await control.close()
})

async function working(options?: Parameters<typeof scriptedWorkers>[1]) {
  await resting()
  workers = scriptedWorkers(control.ledger, options)
}

async function resting() {
  await workers?.stop()
  workers = undefined
}

/** A credential with its first value, and nobody at work. */
async function given(documents: unknown[] = DOCUMENTS) {
  await control.post('configuration', { documents, apply: true })
  await working()
  await ended('key-g1')
  await resting()
}

async function ended(rotation: string): Promise<string> {
  const outcome = async () => (await control.ledger.showRotation(rotation)).outcome
  await expect.poll(outcome, { timeout: 30_000 }).not.toBeNull()
  return String(await outcome())
}

const show = async (rotation: string) => (await control.get(`rotations/${rotation}`)).body
const order = (verb: string, body: object = {}) =>
  control.post(`credentials/key/${verb}`, { reason: 'in a log', ...body })
const told = async (rotation: string) =>
  (await control.ledger.journal({ stream: `rotation/${rotation}` })).map(({ type, actor, data }) => ({
    type,
    actor,
    data,
  }))

describe('what leaked', () => {
  test('is contained in the transaction of the order, under the name of who gave it', async () => {
    await given()
    expect(await order('contain')).toEqual({ status: 200, body: { rotation: 'key-g2', how: 'opened' } })
    // Nobody is at work: what stands here was decided by the order itself.
    const revocation = (await told('key-g2')).find(({ type }) => type === 'RevocationStarted')
    expect(revocation).toMatchObject({ actor: 'operator/ana', data: { generation: 1, mode: 'contain' } })
    expect(await show('key-g2')).toMatchObject({
      goal: 'replace',
      mode: 'contain',
      compromised: [1],
      base: 1,
      generation: 2,
    })
    await working()
    expect(await ended('key-g2')).toBe('closed')
  })

  test('is named, once each, and a repeat after the end cannot mean the next one', async () => {
    await given()
    const named = { generations: [1, 1] }
    expect((await order('expedite', named)).body).toEqual({ rotation: 'key-g2', how: 'opened' })
    expect(await show('key-g2')).toMatchObject({ mode: 'expedite', compromised: [1] })
    await working()
    expect(await ended('key-g2')).toBe('closed')
    expect(await order('expedite', named)).toMatchObject({
      status: 409,
      body: { code: 'not_allowed_now', detail: expect.stringContaining('generation 1 is not in use') },
    })
  })

  test('takes a routine rotation over, and a hold of it is lifted', async () => {
    await given()
    await order('rotate')
    const held = await control.post('rotations/key-g2/hold', { reason: 'wait for the release' })
    expect(held).toMatchObject({
      status: 200,
      body: {
        holds: [{ reason: 'human', about: 'key-g2', detail: 'held by operator/ana: wait for the release' }],
      },
    })
    expect((await order('contain')).body).toEqual({ rotation: 'key-g2', how: 'joined' })
    expect(await show('key-g2')).toMatchObject({ mode: 'contain', compromised: [1], holds: [] })
    expect(await control.post('rotations/key-g2/hold', { reason: 'x' })).toMatchObject({
      status: 409,
      body: { detail: 'key-g2: it runs as contain: an emergency is not held' },
    })
    expect(await control.post('rotations/key-g2/rollback', { reason: 'x' })).toMatchObject({ status: 409 })
    await working()
    expect(await ended('key-g2')).toBe('closed')
  })

  test('must be said where two are in use', async () => {
    await given()
    await order('rotate')
    await working({ breaks: 'promote' })
    await expect.poll(() => show('key-g2'), { timeout: 20_000 }).toMatchObject({ phase: 'Promoting' })
    await resting()
    expect(await order('contain')).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('say which generation leaked: 1 and 2 are both in use') },
    })
    expect(await order('expedite', { generations: [7] })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('generation 7 is not alive in this rotation') },
    })
    // The new one leaked: it is superseded within the same rotation.
    expect((await order('expedite', { generations: [2] })).body).toEqual({
      rotation: 'key-g2',
      how: 'joined',
    })
    await working()
    expect(await ended('key-g2')).toBe('closed')
    expect((await control.get('credentials/key')).body).toMatchObject({ currentGeneration: 3 })
  })
})

describe('an offboarding', () => {
  test('ends the value with none to follow, and nothing rotates it again', async () => {
    await given()
    expect((await order('retire')).body).toEqual({ rotation: 'key-g1-end', how: 'opened' })
    expect(await show('key-g1-end')).toMatchObject({ goal: 'retire', generation: null, base: 1 })
    await working()
    expect(await ended('key-g1-end')).toBe('closed')
    expect((await control.get('credentials/key')).body).toMatchObject({
      currentGeneration: null,
      openRotation: null,
    })
    for (const verb of ['rotate', 'retire', 'contain'])
      expect(await order(verb), verb).toMatchObject({
        status: 409,
        body: { detail: expect.stringContaining('it was offboarded') },
      })
  })

  test('is called off by a rollback until its revocation starts', async () => {
    await given()
    await order('retire')
    expect(await control.post('rotations/key-g1-end/rollback', { reason: 'still used' })).toMatchObject({
      status: 200,
      body: { goal: 'keep', outcome: 'cancelled' },
    })
    expect((await control.get('credentials/key')).body).toMatchObject({ currentGeneration: 1 })
    expect((await order('rotate')).body).toMatchObject({ how: 'opened' })
  })

  test('waits for the rotation under way', async () => {
    await given()
    await order('rotate')
    expect((await order('retire')).body).toEqual({ rotation: 'key-g2', how: 'queued' })
  })
})

test('a hold by a human stops a routine rotation until it is resumed', async () => {
  await given()
  await order('rotate')
  await control.post('rotations/key-g2/hold', { reason: 'wait' })
  expect(await control.post('rotations/key-g2/hold', { reason: 'again' })).toMatchObject({
    status: 409,
    body: { detail: 'key-g2: it is held already' },
  })
  await working()
  const settled = async () => (await told('key-g2')).some(({ type }) => type === 'Settled')
  await expect.poll(settled, { timeout: 20_000 }).toBe(true)
  expect(await show('key-g2')).toMatchObject({ phase: 'Planned' })
  await control.post('rotations/key-g2/resume', { reason: 'released' })
  expect(await ended('key-g2')).toBe('closed')
})

describe('an excused node', () => {
  const late = [
    workload(),
    credential({ rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0, waves: ['100%'] } }),
    rule(),
  ]
  const excuse = (node: string, body: object) =>
    control.post(`nodes/${node}/excuse`, { reason: 'in the workshop', forMs: 60_000, ...body })

  test('is not waited for, and the outcome names it', async () => {
    await given(late)
    const { token } = await control.ledger.createJoinToken({
      node: 'n2',
      workload: 'chat',
      ttlMs: 60_000,
      actor: 'test',
    })
    await control.ledger.fleet.redeemJoinToken('n2', token)
    await order('rotate')
    await working()
    await expect.poll(() => show('key-g2'), { timeout: 20_000 }).toMatchObject({ phase: 'Rolling' })
    expect(await excuse('n2', { credential: 'key' })).toEqual({
      status: 200,
      body: { node: 'n2', credential: 'key', forMs: 60_000 },
    })
    expect(await ended('key-g2')).toBe('closed')
    expect(await show('key-g2')).toMatchObject({ exceptions: expect.arrayContaining(['excused n2']) })
    const [entry] = (await control.ledger.journal({ stream: 'node/n2' })).slice(-1)
    expect(entry).toMatchObject({
      type: 'NodeExcused',
      actor: 'operator/ana',
      data: { credentials: ['key'], reason: 'in the workshop', until: expect.any(String) },
    })
  })

  test('must exist, hold that credential, and come back some day', async () => {
    await given(late)
    expect(await excuse('nobody', {})).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await excuse('scripted-node', { credential: 'other' })).toMatchObject({ status: 404 })
    expect(await excuse('scripted-node', { forMs: 40 * 86_400_000 })).toMatchObject({ status: 400 })
    expect(await excuse('scripted-node', {})).toMatchObject({ status: 200, body: { credential: null } })
  })
})
