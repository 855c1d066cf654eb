import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Stack, startStack } from '@rekey/local'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../e2e/world.ts'
import { currentValue, expectNoFailure, expectNoRestart, expectRotated } from './mid-rotation.ts'

/** Redis carries wake-ups, never the truth. It is this test's own, and dies. */
let own: Stack
let world: World | undefined

beforeEach(async () => {
  own = await startStack({ only: ['redis'], own: true })
})
afterEach(async () => {
  await world?.close()
  world = undefined
  await own.stop()
})

const start = () => startWorld({ stack: { ...inject('stack'), redisUrl: own.redis.url } })

test('flushed at every step of a rotation, it has lost nothing', async () => {
  world = await start()
  const redis = new Redis(own.redis.url, { protocol: 2 })
  const old = await currentValue(world)
  const clients = world.clients()
  const { rotation } = await world.control.rotate(world.credential, 'Redis is flushed')
  let flushes = 0
  for await (const watched of world.control.watch(rotation)) {
    if (watched.type === 'end') break
    await redis.flushall()
    flushes++
  }
  redis.disconnect()
  expect(await world.ended(rotation)).toBe('closed')
  expect(flushes).toBeGreaterThan(10)
  await expectNoFailure(clients)
  await expectRotated(world, 2, old)
})

test('dead from before the first service starts until after the rotation, it is not missed', async () => {
  await own.servers.redis.kill()
  world = await start()
  const old = await currentValue(world)
  const clients = world.clients()
  const { rotation } = await world.control.rotate(world.credential, 'Redis is dead')
  expect(await world.ended(rotation)).toBe('closed')
  await expectRotated(world, 2, old)

  // Back again, it carries wake-ups as if nothing had been. Each outage was told once, and its end.
  await own.servers.redis.start()
  for (const service of ['conductor', 'rotator', 'fleet'] as const) {
    await expect.poll(() => timesSaid(service, 'Redis answers again'), { timeout: 10_000 }).toBe(1)
    expect(await timesSaid(service, 'Redis does not answer'), service).toBe(1)
  }
  const next = await world.control.rotate(world.credential, 'Redis is back')
  expect(await world.ended(next.rotation)).toBe('closed')
  const redis = new Redis(world.servers.redisUrl, { protocol: 2 })
  expect(await redis.exists('bull:rotator:events')).toBe(1)
  redis.disconnect()
  await expectNoFailure(clients)
  await expectNoRestart(world)
})

async function timesSaid(service: string, sentence: string): Promise<number> {
  const log = await readFile(join(world?.platform.logsDir ?? '', `${service}.log`), 'utf8')
  return log.split(`"msg":"${sentence}`).length - 1
}

test('killed in mid-rotation and back before its end, it costs no request', async () => {
  world = await start()
  const old = await currentValue(world)
  const clients = world.clients()
  const { rotation } = await world.control.rotate(world.credential, 'Redis dies and comes back')
  for await (const watched of world.control.watch(rotation)) {
    if (watched.type === 'end') break
    if (watched.entry.type === 'StagingStarted') await own.servers.redis.kill()
    if (watched.entry.type === 'ConfirmingStarted') await own.servers.redis.start()
  }
  expect(await world.ended(rotation)).toBe('closed')
  await expectNoFailure(clients)
  await expectRotated(world, 2, old)
})
