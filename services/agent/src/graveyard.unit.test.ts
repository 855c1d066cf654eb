import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  desired,
  FakeGateway,
  keeperBench,
  MemoryGraveyardFile,
  sampleValue,
  silent,
} from '../test/keeper-bench.ts'
import { until } from '../test/until.ts'
import { Graveyard } from './graveyard.ts'

const digest = (generation: number) =>
  createHash('sha256').update(sampleValue(generation).reveal()).digest('hex')
const held = (...generations: number[]) =>
  generations.map((generation) => ({
    generation,
    keyId: `chat.g${generation}`,
    value: sampleValue(generation),
  }))

async function given(file = new MemoryGraveyardFile(), isLoaded = true) {
  const gateway = new FakeGateway()
  const logged: string[] = []
  const log = {
    ...silent,
    warn: (_: object, said: string) => void logged.push(`warn ${said}`),
    info: (_: object, said: string) => void logged.push(`info ${said}`),
  }
  const graveyard = new Graveyard({ credential: 'chat', adapter: gateway, file, log, againMs: 0 })
  if (isLoaded) await graveyard.load()
  return { gateway, file, graveyard, logged }
}

describe('a graveyard', () => {
  test('knows what the node held after it is gone, also after a restart, and holds no value', async () => {
    const before = await given()
    await before.graveyard.remember(held(1, 2))
    expect(JSON.stringify(before.file.page)).not.toContain('value-of')
    const { graveyard, gateway } = await given(before.file)
    await graveyard.died([1])
    await graveyard.bury([2])
    expect(gateway.buried).toEqual([{ keyId: 'chat.g1', digest: digest(1) }])
    expect(graveyard.watched).toEqual([1])
  })

  test('does not know what was dead before this node came', async () => {
    const { graveyard, gateway } = await given()
    await graveyard.died([1])
    await graveyard.remember(held(2))
    await graveyard.bury([2])
    expect(gateway.buried).toEqual([])
    expect(graveyard.watched).toEqual([])
  })

  test('keeps what is said to be dead before its file is read, and does not write over that', async () => {
    const before = await given()
    await before.graveyard.remember(held(1, 2))
    const { graveyard, gateway, file } = await given(before.file, false)
    await graveyard.died([1])
    expect(file.page?.generations).toHaveLength(2)
    await graveyard.load()
    await graveyard.bury([2])
    expect(gateway.buried?.map((g) => g.keyId)).toEqual(['chat.g1'])
    expect(file.page?.generations.map((g) => g.dead)).toEqual([true, false])
  })

  test('never buries what the node accepts, whoever says that it is dead', async () => {
    const { graveyard, gateway } = await given()
    await graveyard.remember(held(1, 2))
    await graveyard.died([1, 2])
    await graveyard.bury([2])
    expect(gateway.buried?.map((g) => g.keyId)).toEqual(['chat.g1'])
  })

  test('keeps the newest 64', async () => {
    const { graveyard, file } = await given()
    await graveyard.remember(held(...Array.from({ length: 70 }, (_, n) => n + 1)))
    expect(file.page?.generations.map((g) => g.generation)).toEqual(
      Array.from({ length: 64 }, (_, n) => n + 7),
    )
  })

  test('says once that the gateway has no place for it, counts nothing then, and begins when it has one', async () => {
    const { graveyard, gateway, logged } = await given()
    gateway.buried = null
    await graveyard.remember(held(1))
    await graveyard.died([1])
    await graveyard.bury([])
    await graveyard.bury([])
    expect(logged).toEqual(['warn knocks with dead keys are not counted'])
    expect(graveyard.burial).toBe('not counted')
    expect(await graveyard.knocks()).toBeUndefined()
    gateway.buried = []
    await graveyard.bury([])
    expect(logged.at(-1)).toBe('info knocks with dead keys are counted again')
    expect(await graveyard.knocks()).toEqual([])
  })

  test('holds up nothing where the disk is full or the gateway is down', async () => {
    const { graveyard, gateway, file } = await given()
    file.failing = true
    await graveyard.remember(held(1))
    await graveyard.died([1])
    gateway.failing = true
    await graveyard.bury([])
    gateway.failing = false
    await graveyard.bury([])
    expect(graveyard.watched).toEqual([1])
    file.failing = false
    await graveyard.remember(held(1))
    expect(file.page?.generations).toMatchObject([{ generation: 1, dead: true }])
  })

  test('tells the latest knocks with what it buried, and no other', async () => {
    const { graveyard, gateway } = await given()
    await graveyard.remember(held(1))
    await graveyard.died([1])
    await graveyard.bury([])
    const row = (generation: number, address: string, lastUseAgeMs: number) => ({
      generation,
      address,
      requests: 1,
      lastUseAgeMs,
    })
    gateway.knocked = [row(1, '10.0.0.1', 500), row(1, '10.0.0.2', 5), row(2, '10.0.0.3', 1)]
    expect((await graveyard.knocks())?.map((k) => k.address)).toEqual(['10.0.0.2', '10.0.0.1'])
  })
})

describe('a keeper', () => {
  const acked = (said: unknown[], n: number) => until(`${n} messages`, () => said.length >= n, 2_000)

  test('buries what died only after it tried it, and tries it no more', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1, 2]), reply('n1'))
    await acked(said, 1)
    // Dead for the fleet, before this node has narrowed: it was excused, or away.
    await keeper.died([1])
    expect(gateway.buried).toEqual([])
    const order: string[] = []
    const { tryValue, bury } = gateway
    gateway.tryValue = (value) => {
      order.push(`try ${value.reveal()}`)
      return tryValue.call(gateway, value)
    }
    gateway.bury = (graves) => {
      order.push(`bury ${graves.map((g) => g.keyId)}`)
      return bury.call(gateway, graves)
    }
    keeper.offer(desired(2, [2], { refuse: [1], floor: 2 }), reply('n2'))
    await acked(said, 2)
    await until('buried', () => gateway.buried?.length === 1)
    expect(order).toEqual([
      `try ${sampleValue(2).reveal()}`,
      `try ${sampleValue(1).reveal()}`,
      'bury chat.g1',
    ])
    // The same order in the next session.
    keeper.offer(desired(2, [2], { refuse: [1], floor: 2 }), reply('n3', 2))
    await acked(said, 3)
    expect(order.filter((what) => what === `try ${sampleValue(1).reveal()}`)).toHaveLength(1)
    await keeper.stop()
  })

  test('buries again at its start what it knows from before, without the fleet', async () => {
    const first = keeperBench()
    first.store.generations = new Set([1, 2])
    await first.keeper.start()
    first.keeper.offer(desired(1, [1, 2]), first.reply('n1'))
    await acked(first.said, 1)
    first.keeper.offer(desired(2, [2], { refuse: [1], floor: 2 }), first.reply('n2'))
    await acked(first.said, 2)
    await first.keeper.died([1])
    await first.keeper.stop()
    const journal = first.journal.entries.at(-1)
    const graves = first.graves.page
    const second = keeperBench({ ...(journal && { journal }), ...(graves && { graves }) })
    second.store.generations = new Set([2])
    await second.keeper.start()
    await until('buried', () => second.gateway.buried?.length === 1)
    expect(await second.keeper.graveyard()).toEqual({ watched: [1], knocks: [] })
    await second.keeper.stop()
  })

  test('whose file of graves cannot be written proves all the same', async () => {
    const { graves, store, said, keeper, reply } = keeperBench()
    graves.failing = true
    store.generations = new Set([1])
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n1'))
    await acked(said, 1)
    expect(said[0]).toMatchObject({ type: 'ack' })
    await keeper.stop()
  })

  test('tells of what is accepted who used it, those that did so last', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([2])
    await keeper.start()
    expect(await keeper.clients()).toBeUndefined()
    keeper.offer(desired(1, [2]), reply('n1'))
    await acked(said, 1)
    const row = (generation: number, n: number) => ({
      generation,
      address: `10.0.${Math.floor(n / 250)}.${n % 250}`,
      requests: 1,
      lastUseAgeMs: n,
    })
    gateway.used = [row(1, 1), ...Array.from({ length: 300 }, (_, n) => row(2, n))].reverse()
    const clients = await keeper.clients()
    expect(clients).toHaveLength(50)
    expect(clients?.[0]).toEqual(row(2, 0))
    await keeper.stop()
  })
})
