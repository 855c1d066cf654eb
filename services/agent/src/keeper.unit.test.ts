import { proofPublicKey, verifyStatement } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { desired, keeperBench, sampleValue } from '../test/keeper-bench.ts'
import { until } from '../test/until.ts'

const count = (n: number, list: unknown[]) => until(`${n} messages`, () => list.length >= n, 2_000)

describe('an order', () => {
  test('is carried out, tried, journalled and proved, in one ack', async () => {
    const { gateway, store, journal, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(5, [1, 2]), reply('n1', 7))
    await count(1, said)
    expect(gateway.applied).toEqual([[1, 2]])
    expect(journal.entries.at(-1)?.applied?.revision).toBe(5)
    expect(JSON.stringify(journal.entries)).not.toContain('value-of')
    const [ack] = said
    if (ack?.type !== 'ack') throw new Error('no ack')
    expect(ack).toMatchObject({ credential: 'chat', revision: 5, session: 7, nonce: 'n1', refusals: [] })
    for (const proof of ack.proofs) {
      const statement = {
        credential: 'chat',
        generation: proof.generation,
        revision: 5,
        node: 'spiffe://rekey.local/node/gw-1',
        session: 7,
        boot: 'boot-1',
        nonce: 'n1',
      }
      const key = proofPublicKey(sampleValue(proof.generation), 'chat', proof.generation)
      expect(proof.tried).toBe('accepted')
      expect(verifyStatement(key, statement, proof.signature)).toBe(true)
      expect(
        verifyStatement(key, { ...statement, node: 'spiffe://rekey.local/node/gw-2' }, proof.signature),
      ).toBe(false)
    }
    await keeper.stop()
  })

  test('is journalled before it is carried out, so that a crash cannot bring back what it refuses', async () => {
    const { gateway, store, journal, keeper, reply } = keeperBench()
    store.generations = new Set([2])
    let seen: number | undefined
    gateway.beforeApply = async () => {
      seen = journal.entries.at(-1)?.desired.revision
    }
    await keeper.start()
    keeper.offer(desired(6, [2], { refuse: [1] }), reply('n'))
    await until('applied', () => gateway.applied.length === 1)
    expect(seen).toBe(6)
    await keeper.stop()
  })

  test('with an older revision is ignored, in this session and in the next', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(5, [2]), reply('n1'))
    await count(1, said)
    keeper.offer(desired(4, [1]), reply('n2', 2))
    keeper.offer(desired(5, [2]), reply('n3', 2))
    await count(2, said)
    expect(gateway.applied).toEqual([[2], [2]])
    expect(said[1]).toMatchObject({ type: 'ack', session: 2, nonce: 'n3', revision: 5 })
    await keeper.stop()
  })

  test('that arrives during an attempt takes its place, and only it is acked', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    const entered = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    gateway.beforeApply = async () => {
      entered.resolve()
      await released.promise
    }
    keeper.offer(desired(1, [1]), reply('n1'))
    await entered.promise
    gateway.beforeApply = async () => {}
    keeper.offer(desired(2, [1]), reply('n2'))
    keeper.offer(desired(3, [1, 2]), reply('n3'))
    released.resolve()
    await count(1, said)
    expect(said).toHaveLength(1)
    expect(said[0]).toMatchObject({ type: 'ack', nonce: 'n3', revision: 3 })
    await keeper.stop()
  })

  test('reads from the store only what this session has not read', async () => {
    const { store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n1'))
    await count(1, said)
    keeper.offer(desired(2, [1, 2]), reply('n2'))
    await count(2, said)
    keeper.offer(desired(3, [1, 2]), reply('n3'))
    await count(3, said)
    expect(store.asked).toEqual([1, 2])
    keeper.offer(desired(3, [1, 2]), reply('n4', 2))
    await count(4, said)
    expect(store.asked).toEqual([1, 2, 1, 2])
    await keeper.stop()
  })

  test('that failed reads everything again', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n1'))
    await count(1, said)
    gateway.failing = true
    keeper.offer(desired(2, [1, 2]), reply('n2'))
    await count(2, said)
    gateway.failing = false
    await count(3, said)
    expect(said.map((m) => m.type)).toEqual(['ack', 'nack', 'ack'])
    expect(store.asked.slice(0, 4)).toEqual([1, 2, 1, 2])
    await keeper.stop()
  })

  test('takes again what it had forgotten from the store', async () => {
    const { store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1, 2]), reply('n1'))
    await count(1, said)
    keeper.offer(desired(2, [1], { refuse: [2] }), reply('n2'))
    await count(2, said)
    keeper.offer(desired(3, [1, 2]), reply('n3'))
    await count(3, said)
    expect(said.map((m) => m.type)).toEqual(['ack', 'ack', 'ack'])
    expect(store.asked).toEqual([1, 2, 2])
    await keeper.stop()
  })

  test('below its own floor is refused and not tried again', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1, 2], { floor: 2 }), reply('n'))
    await count(1, said)
    expect(said[0]).toMatchObject({ type: 'nack', reason: 'below_floor', generation: 1 })
    expect(gateway.applied).toEqual([])
    await keeper.stop()
  })
})

describe('a failure', () => {
  test('of the store is said once and retried until the value is there', async () => {
    const { store, said, keeper, reply } = keeperBench()
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n'))
    await count(1, said)
    await new Promise((resolve) => setTimeout(resolve, 60))
    store.away = true
    await count(2, said)
    store.away = false
    store.generations.add(1)
    await count(3, said)
    expect(said.map((m) => (m.type === 'nack' ? m.reason : m.type))).toEqual([
      'value_missing',
      'store_unreachable',
      'ack',
    ])
    await keeper.stop()
  })

  test('changes nothing in the gateway while a value is missing', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1])
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n1'))
    await count(1, said)
    keeper.offer(desired(2, [1, 2]), reply('n2'))
    await count(2, said)
    expect(said[1]).toMatchObject({ type: 'nack', reason: 'value_missing', generation: 2 })
    expect(gateway.applied).toEqual([[1]])
    await keeper.stop()
  })

  test('of the gateway is not acked; the ack follows when it is back', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1])
    gateway.failing = true
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n'))
    await count(1, said)
    expect(said[0]).toMatchObject({ type: 'nack', reason: 'adapter_failed' })
    gateway.failing = false
    await count(2, said)
    expect(said[1]).toMatchObject({ type: 'ack', nonce: 'n' })
    await keeper.stop()
  })

  test('a value that the real path refuses is never acked', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1])
    gateway.answer = () => 'refused'
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n'))
    await count(1, said)
    expect(said[0]).toMatchObject({ type: 'nack', reason: 'value_refused', generation: 1 })
    await keeper.stop()
  })

  test('an unclear answer of the real path is retried; without a real path it is said in the ack', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1])
    gateway.answer = () => 'unknown'
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n'))
    await count(1, said)
    expect(said[0]).toMatchObject({ type: 'nack', reason: 'adapter_failed' })
    gateway.canTry = false
    await count(2, said)
    expect(said[1]).toMatchObject({ type: 'ack', proofs: [{ generation: 1, tried: 'unknown' }] })
    await keeper.stop()
  })
})

describe('a generation to be refused', () => {
  test('is tried on the real path while its value is held, said again on the next session, and forgotten', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1, 2]), reply('n1'))
    await count(1, said)
    keeper.offer(desired(2, [2], { refuse: [1], floor: 2 }), reply('n2'))
    await count(2, said)
    expect(said[1]).toMatchObject({ type: 'ack', refusals: [{ generation: 1, tried: 'refused' }] })
    gateway.tries.length = 0
    keeper.offer(desired(2, [2], { refuse: [1], floor: 2 }), reply('n3', 2))
    await count(3, said)
    expect(said[2]).toMatchObject({ nonce: 'n3', refusals: [{ generation: 1, tried: 'refused' }] })
    expect(gateway.tries).toEqual([sampleValue(2).reveal()])
    await keeper.stop()
  })

  test('that is still accepted makes the order fail', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1, 2]), reply('n1'))
    await count(1, said)
    gateway.answer = () => 'accepted'
    keeper.offer(desired(2, [2], { refuse: [1] }), reply('n2'))
    await count(2, said)
    expect(said[1]).toMatchObject({ type: 'nack', reason: 'adapter_failed', generation: 1 })
    await keeper.stop()
  })

  test('is dropped at once even where the store is away, and what stays accepted is not touched', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1, 2]), reply('n1'))
    await count(1, said)
    store.away = true
    keeper.offer(desired(2, [2, 3], { refuse: [1] }), reply('n2'))
    await count(2, said)
    expect(said[1]).toMatchObject({ type: 'nack', reason: 'store_unreachable', generation: 3 })
    expect([...gateway.accepted.values()]).toEqual([2])
    await keeper.stop()
  })

  test('is dropped before the store has answered for what is accepted instead', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n1'))
    await count(1, said)
    const answer = Promise.withResolvers<void>()
    store.beforeAnswer = () => answer.promise
    keeper.offer(desired(2, [2], { refuse: [1], floor: 2 }), reply('n2'))
    await until('dropped', () => gateway.accepted.size === 0)
    expect(gateway.applied).toEqual([[1]])
    answer.resolve()
    await count(2, said)
    expect(said[1]).toMatchObject({ type: 'ack', refusals: [{ generation: 1, tried: 'refused' }] })
    expect([...gateway.accepted.values()]).toEqual([2])
    await keeper.stop()
  })

  test('is dropped with values from memory where those are all that is needed', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1, 2])
    await keeper.start()
    keeper.offer(desired(1, [1, 2]), reply('n1'))
    await count(1, said)
    store.away = true
    keeper.offer(desired(2, [2], { refuse: [1] }), reply('n2'))
    await count(2, said)
    expect(said[1]).toMatchObject({
      type: 'ack',
      revision: 2,
      refusals: [{ generation: 1, tried: 'refused' }],
    })
    expect([...gateway.accepted.values()]).toEqual([2])
    await keeper.stop()
  })
})

describe('after a restart', () => {
  test('the agent goes back to its journal without a fleet, and says nothing to nobody', async () => {
    const state = desired(4, [1, 2])
    const { gateway, store, said, keeper } = keeperBench({ journal: { desired: state, applied: state } })
    store.generations = new Set([1, 2])
    await keeper.start()
    expect(gateway.applied).toEqual([[1, 2]])
    expect(said).toEqual([])
    expect(keeper.status()).toMatchObject({ desiredRevision: 4, appliedRevision: 4 })
    await keeper.stop()
  })

  test('what the journal desires is not what the fleet does: not told, until the new session has said it', async () => {
    const state = desired(4, [1])
    const { store, said, keeper, reply } = keeperBench({ journal: { desired: state, applied: state } })
    store.generations = new Set([1])
    await keeper.start()
    expect(keeper.status()).toMatchObject({ desiredRevision: 4, appliedRevision: 4, told: false })
    keeper.offer(state, reply('n'))
    await count(1, said)
    expect(keeper.status().told).toBe(true)
    keeper.detach()
    expect(keeper.status().told).toBe(false)
    await keeper.stop()
  })

  test('an order older than the journal is ignored, even one that comes before the journal is read', async () => {
    const state = desired(4, [2], { refuse: [1] })
    const { gateway, store, keeper, reply } = keeperBench({ journal: { desired: state, applied: state } })
    store.generations = new Set([1, 2])
    keeper.offer(desired(3, [1, 2]), reply('n'))
    await keeper.start()
    expect(gateway.applied).toEqual([[2]])
    await keeper.stop()
  })

  test('with the newest order out of reach the last good one is served, without what must be refused', async () => {
    const { gateway, store, keeper } = keeperBench({
      journal: { desired: desired(5, [2, 3], { refuse: [1] }), applied: desired(4, [1, 2]) },
    })
    store.generations = new Set([1, 2])
    await keeper.start()
    expect(gateway.applied).toEqual([[2]])
    await keeper.stop()
  })

  test('of the gateway its keys are applied again', async () => {
    const { gateway, store, said, keeper, reply } = keeperBench()
    store.generations = new Set([1])
    await keeper.start()
    keeper.offer(desired(1, [1]), reply('n'))
    await count(1, said)
    await keeper.check()
    expect(gateway.applied).toHaveLength(1)
    gateway.accepted.clear()
    await keeper.check()
    expect(gateway.applied).toHaveLength(2)
    expect(said).toHaveLength(1)
    await keeper.stop()
  })
})

test('a report says no more than it has room for: what is ordered, what is in flight, and the newest', async () => {
  const { gateway, store, keeper, reply } = keeperBench()
  store.generations = new Set([1, 70])
  gateway.usage = async () =>
    Array.from({ length: 70 }, (_, index) => ({
      generation: index + 1,
      inFlight: index === 4 ? 1 : 0,
      lastUseAgeMs: 10,
      requests: 1,
    }))
  await keeper.start()
  keeper.offer(desired(5, [70], { refuse: [1] }), reply('n1'))
  await until('applied', () => gateway.applied.length === 1)
  const said = (await keeper.usage())?.map(({ generation }) => generation) ?? []
  expect(said).toHaveLength(64)
  expect(said).toEqual(expect.arrayContaining([1, 5, 70, 69, 9]))
  expect(said).not.toContain(2)
  await keeper.stop()
})
