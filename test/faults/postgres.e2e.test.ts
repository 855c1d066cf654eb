import { type Stack, startStack } from '@rekey/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../e2e/world.ts'
import { currentValue, expectNoFailure, expectNoRestart, expectRotated } from './mid-rotation.ts'

/** PostgreSQL holds the one truth. It is this test's own, and is stopped at once, as by a crash. */
let own: Stack
let world: World

beforeAll(async () => {
  own = await startStack({ only: ['postgres'], own: true })
  world = await startWorld({ stack: { ...inject('stack'), postgresUrl: own.postgres.url } })
})
afterAll(async () => {
  await world?.close()
  await own?.stop()
})

const DIES_AT = ['StagingStarted', 'WaveStarted', 'StorePromoted', 'ConfirmingStarted', 'RevocationStarted']

test('restarted at every step of a rotation, it costs no request and no service', async () => {
  const old = await currentValue(world)
  const clients = world.clients()
  const { rotation } = await world.control.rotate(world.credential, 'PostgreSQL dies')
  let deaths = 0
  for await (const watched of world.control.watch(rotation)) {
    if (watched.type === 'end') break
    if (!DIES_AT.includes(watched.entry.type)) continue
    deaths++
    await own.servers.postgres.kill()
    await own.servers.postgres.start()
  }
  expect(await world.ended(rotation, 120_000)).toBe('closed')
  expect(deaths).toBeGreaterThanOrEqual(DIES_AT.length)
  await expectNoFailure(clients)
  await expectRotated(world, 2, old)
  await expectNoRestart(world)
})
