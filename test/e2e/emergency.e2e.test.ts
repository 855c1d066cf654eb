import type { Secret } from '@rekey/contracts'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { startWorld, type World } from './world.ts'

let world: World

afterEach(() => world.close())

async function current(): Promise<Secret> {
  const read = await world.readers.vault()
  if (!read) throw new Error('readers of Vault find nothing')
  return read.value
}

async function generations(): Promise<[number, string][]> {
  const { generations: all } = await world.control.credential(world.credential)
  return all.map((g) => [g.generation, g.validity])
}

async function typesOf(rotation: string): Promise<string[]> {
  return (await world.control.journal(rotation)).map((e) => e.type)
}

async function reaches(rotation: string, step: string): Promise<void> {
  for await (const watched of world.control.watch(rotation))
    if (watched.type === 'entry' && watched.entry.type === step) return
  throw new Error(`${rotation} ended before ${step}`)
}

/** Says on the emitter's topic that a value of the credential was seen somewhere. */
async function report(id: string, generation?: number): Promise<void> {
  const { kafkaBrokers } = inject('stack')
  const producer = new Kafka({ brokers: kafkaBrokers, logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  const type = 'dev.cdeventsx.rekey-credential.leaked.0.1.0'
  const about = { id, source: '/scanner', type }
  const context = { specversion: '0.5.1', ...about, timestamp: new Date().toISOString() }
  const content = { where: 'a build log', ...(generation !== undefined && { generation }) }
  const data = { context, subject: { id: world.credential, content } }
  const headers = { 'content-type': 'application/cloudevents+json' }
  const value = JSON.stringify({ specversion: '1.0', ...about, datacontenttype: 'application/json', data })
  const topic = `rekey.changes.${world.emitter}.v1`
  await producer.send({ topic, acks: -1, messages: [{ key: world.credential, value, headers }] })
  await producer.disconnect()
}

async function verdictOf(id: string): Promise<string | undefined> {
  return (await world.control.verdict(id, '/scanner'))?.verdict
}

describe('a leaked key', () => {
  test('is expedited: replaced and dead, without a failed request or a long drain', async () => {
    // A drain that a routine rotation would wait a minute for.
    world = await startWorld({
      stack: inject('stack'),
      rollout: { quietMs: 60_000, readerCacheMs: 1_000, expediteDrainMs: 2_000 },
    })
    const clients = world.clients()
    const old = await current()
    const { rotation } = await world.control.expedite(world.credential, 'seen in a paste')
    expect(await world.ended(rotation)).toBe('closed')
    const { failed, failures, streamsFailed } = await clients.stop()
    expect({ failed, failures, streamsFailed }).toEqual({ failed: 0, failures: [], streamsFailed: 0 })
    expect(await world.knock(old)).toEqual([401, 401])
    expect(await world.knock(await current())).toEqual([200, 200])
    // It did not wait for the audit topic.
    const types = await typesOf(rotation)
    expect(types[types.indexOf('RevocationAnnounced') + 1]).toBe('RevocationStarted')
  })

  test('that a scanner reports on Kafka is expedited, and later reports of it change nothing', async () => {
    world = await startWorld({ stack: inject('stack'), rollout: { quietMs: 60_000, expediteDrainMs: 2_000 } })
    const clients = world.clients()
    const old = await current()
    await Promise.all([report('one', 1), report('two', 1), report('three')])
    const rotation = `${world.credential}-g2`
    await expect.poll(() => verdictOf('three'), { timeout: 20_000 }).toBeDefined()
    expect(await world.ended(rotation)).toBe('closed')
    const { failed, failures } = await clients.stop()
    expect({ failed, failures }).toEqual({ failed: 0, failures: [] })
    expect(await world.knock(old)).toEqual([401, 401])
    expect(await world.control.rotation(rotation)).toMatchObject({ mode: 'expedite', compromised: [1] })
    await report('late', 1)
    await expect.poll(() => verdictOf('late'), { timeout: 20_000 }).toBe('no-change')
    expect(await world.control.rotations({ credential: world.credential })).toHaveLength(2)
  })

  test('is contained: refused everywhere before the next one is even up', async () => {
    world = await startWorld({ stack: inject('stack'), rollout: { quietMs: 60_000, readerCacheMs: 3_000 } })
    const old = await current()
    const { rotation } = await world.control.contain(world.credential, 'in use by an attacker')
    expect(await world.ended(rotation)).toBe('closed')
    expect(await world.knock(old)).toEqual([401, 401])
    expect(await world.knock(await current())).toEqual([200, 200])
    const [vault, aws] = [await world.readers.vault(), await world.readers.aws()]
    expect([vault?.generation, aws?.generation]).toEqual([2, 2])
    const types = await typesOf(rotation)
    expect(types.indexOf('RevocationStarted')).toBeLessThan(types.indexOf('StagingStarted'))
    expect(types.filter((type) => type === 'StoreWithdrawn')).toHaveLength(2)
    expect(await generations()).toEqual([
      [1, 'destroyed'],
      [2, 'active'],
    ])
    // What comes after starts from what the withdrawal left.
    const again = await world.control.rotate(world.credential, 'routine again')
    await reaches(again.rotation, 'StorePromoted')
  })

  test.each(['expedite', 'contain'] as const)(
    'takes over a routine rotation that brought the leaked one up: %s',
    async (mode) => {
      world = await startWorld({ stack: inject('stack') })
      const w = world
      const first = await current()
      const { rotation } = await w.control.rotate(w.credential, 'routine')
      await reaches(rotation, 'ConfirmingStarted')
      const leaked = await current()
      expect(leaked.equals(first)).toBe(false)
      await w.control[mode](w.credential, 'the new one was printed', [2])
      expect(await w.ended(rotation)).toBe('closed')
      expect(await generations()).toEqual([
        [1, 'destroyed'],
        [2, 'destroyed'],
        [3, 'active'],
      ])
      for (const dead of [first, leaked]) expect(await w.knock(dead)).toEqual([401, 401])
      expect(await w.knock(await current())).toEqual([200, 200])
      expect((await w.readers.aws())?.generation).toBe(3)
    },
  )
})

test('a credential that is retired ends everywhere, and events do not bring it back', async () => {
  world = await startWorld({ stack: inject('stack') })
  const last = await current()
  const { rotation } = await world.control.retire(world.credential, 'the product ended')
  expect(await world.ended(rotation)).toBe('closed')
  expect(await world.knock(last)).toEqual([401, 401])
  expect([await world.readers.vault(), await world.readers.aws()]).toEqual([undefined, undefined])
  expect((await world.control.rotation(rotation)).exceptions).toEqual(['no_control'])
  await expect(world.control.rotate(world.credential, 'again')).rejects.toThrow(/offboarded/)
})
