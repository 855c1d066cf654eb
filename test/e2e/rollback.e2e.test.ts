import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type FaultProxy, startFaultProxy } from '@rekey/testing'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { startWorld, type World } from './world.ts'

let world: World | undefined
let refusing: Server | undefined
let faulty: FaultProxy | undefined

afterEach(async () => {
  await world?.close()
  refusing?.close()
  await faulty?.close()
  world = undefined
})

/** The old value still works everywhere and is current everywhere; the new one is dead; nobody noticed. */
async function expectTheOldWay(w: World, rotation: string): Promise<void> {
  const { generations, currentGeneration, openRotation } = await w.control.credential(w.credential)
  expect({ currentGeneration, openRotation }).toEqual({ currentGeneration: 1, openRotation: null })
  expect(generations.map((g) => [g.generation, g.validity])).toEqual([
    [1, 'active'],
    [2, 'destroyed'],
  ])
  const [vault, aws] = [await w.readers.vault(), await w.readers.aws()]
  expect([vault?.generation, aws?.generation]).toEqual([1, 1])
  if (vault) expect(await w.knock(vault.value)).toEqual(w.gateways.map(() => 200))
  expect((await w.control.rotation(rotation)).outcome).toBe('rolled-back')
}

describe('a rotation rolls back', () => {
  test('by itself when a node cannot prove the new value', async () => {
    // This node's own path refuses every new value: what it tries, it sees refused.
    let allowed: string | undefined
    refusing = createServer((request, response) => {
      allowed ??= request.headers.authorization
      response.writeHead(request.headers.authorization === allowed ? 200 : 401).end()
    })
    await new Promise<void>((resolve) => refusing?.listen(0, '127.0.0.1', resolve))
    const { port } = refusing.address() as AddressInfo
    world = await startWorld({
      stack: inject('stack'),
      probeUrl: (gateway) => (gateway.endsWith('-2') ? `http://127.0.0.1:${port}/` : undefined),
    })
    const clients = world.clients()
    const { rotation } = await world.control.rotate(world.credential, 'a node will refuse it')
    expect(await world.ended(rotation)).toBe('rolled-back')
    const { failed, streamsFailed } = await clients.stop()
    expect({ failed, streamsFailed }).toEqual({ failed: 0, streamsFailed: 0 })
    const journal = await world.control.journal(rotation)
    expect(journal.find((e) => e.type === 'NodeNacked')?.data).toMatchObject({ reason: 'value_refused' })
    expect(journal.some((e) => e.type === 'PromotionAsked')).toBe(false)
    await expectTheOldWay(world, rotation)
  })

  test('by itself when requests fail on the canaries, which are one of each serving version', async () => {
    world = await startWorld({
      stack: inject('stack'),
      gateways: 3,
      labels: (gateway) => ({ version: gateway < 2 ? 'blue' : 'green' }),
      // The model behind the last gateway, the only green one.
      async modelPort(gateway, model) {
        if (gateway < 2) return model
        faulty = await startFaultProxy(`http://127.0.0.1:${model}`)
        return Number(new URL(faulty.url).port)
      },
      rollout: {
        waves: [{ ofEach: 'version', nodes: 1 }, '100%'],
        brake: { errors: '5%', requests: 20, watchMs: 60_000 },
      },
    })
    const w = world
    const [blue, , green] = w.gateways.map(({ name }) => name)
    const clients = w.clients()
    const { rotation } = await w.control.rotate(w.credential, 'the green half will fail')
    for await (const watched of w.control.watch(rotation)) {
      if (watched.type !== 'entry') continue
      if (watched.entry.type === 'WaveProved') faulty?.arm('every', { kind: 'answer', status: 500, body: '' })
      if (watched.entry.type === 'SuccessorAbandoned') break
    }
    faulty?.heal()
    expect(await w.ended(rotation)).toBe('rolled-back')
    await clients.stop()
    const journal = await w.control.journal(rotation)
    const widened = journal.filter((e) => e.type === 'WaveStarted' && e.data.purpose === 'widen')
    expect(widened.map((e) => e.data.nodes)).toEqual([[blue, green]])
    const abandoned = journal.find((e) => e.type === 'SuccessorAbandoned')
    expect(abandoned?.data.reason).toMatch(
      new RegExp(`^\\d+ of \\d+ requests of the last half minute failed, on ${green} \\(`),
    )
    await expectTheOldWay(w, rotation)
  })

  test.each(['StorePromoted', 'ConfirmingStarted', 'DrainingStarted'])(
    'on an order after %s, with the stores put back by a new version',
    async (step) => {
      world = await startWorld({ stack: inject('stack') })
      const w = world
      const clients = w.clients()
      const { rotation } = await w.control.rotate(w.credential, 'to be rolled back')
      for await (const watched of w.control.watch(rotation))
        if (watched.type === 'entry' && watched.entry.type === step) break
      await w.control.rollback(rotation, 'second thoughts')
      expect(await w.ended(rotation)).toBe('rolled-back')
      const { failed, streamsFailed, failures } = await clients.stop()
      expect({ failed, streamsFailed, failures }).toEqual({ failed: 0, streamsFailed: 0, failures: [] })
      const journal = await w.control.journal(rotation)
      expect(journal.some((e) => e.type === 'StoreRestored')).toBe(true)
      expect(journal.findLast((e) => e.type === 'RefusalProbed')?.data).toMatchObject({
        generation: 2,
        conclusive: true,
      })
      await expectTheOldWay(w, rotation)
      // A later rotation starts from the restored versions.
      const again = await w.control.rotate(w.credential, 'once more')
      expect(await w.ended(again.rotation)).toBe('closed')
      expect((await w.readers.aws())?.generation).toBe(3)
    },
  )
})

test('there is no way back once the revocation has started', async () => {
  world = await startWorld({ stack: inject('stack') })
  const { rotation } = await world.control.rotate(world.credential, 'too late')
  for await (const watched of world.control.watch(rotation))
    if (watched.type === 'entry' && watched.entry.type === 'RevocationStarted') break
  await expect(world.control.rollback(rotation, 'too late')).rejects.toThrow(/no way back|has ended/)
  expect(await world.ended(rotation)).toBe('closed')
})
