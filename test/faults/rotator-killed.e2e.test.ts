import { readFile } from 'node:fs/promises'
import type { SupervisedProcess } from '@rekey/platform'
import { type FaultProxy, startFaultProxy } from '@rekey/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../e2e/world.ts'
import { type LeasesSeen, watchLeases } from './leases-seen.ts'
import { currentValue, expectNoFailure, expectRotated } from './mid-rotation.ts'

/** The default of REKEY_LEASE_MS: nothing is set for these tests. */
const LEASE_MS = 1_500

let world: World
let leases: LeasesSeen
let aws: FaultProxy
const rotators: SupervisedProcess[] = []

beforeAll(async () => {
  const stack = inject('stack')
  aws = await startFaultProxy(stack.awsEndpoint)
  world = await startWorld({ stack, servers: { awsEndpoint: aws.url } })
  rotators.push(world.platform.services.rotator, await world.platform.another('rotator', 'second-rotator'))
  leases = await watchLeases(world.servers.postgresUrl)
})
afterAll(async () => {
  await leases?.close()
  await world?.close()
  await aws?.close()
})

/** The server acts and never answers: a rotator is in mid-act for as long as this lasts. */
async function startAndHang(reason: string): Promise<{ rotation: string; key: string }> {
  aws.arm('every', { kind: 'hang' })
  const { rotation } = await world.control.rotate(world.credential, reason)
  return { rotation, key: `${rotation}.stage.aws-${rotation.split('-').at(-1)}` }
}

test('what a killed rotator had under way is taken by another as soon as its lease ends', async () => {
  const old = await currentValue(world)
  const clients = world.clients()
  const { rotation, key } = await startAndHang('a rotator dies in mid-act')
  const victim = await leases.holderOf(key, rotators)
  const before = await leases.of(key)
  // It is renewed far past its first length, and is still the first attempt.
  expect(new Set(before.map((lease) => lease.attempt))).toEqual(new Set([1]))
  expect((before.at(-1)?.until ?? 0) - (before[0]?.at ?? 0)).toBeGreaterThan(2 * LEASE_MS)

  await victim.kill()
  const killedAt = await leases.now()
  const second = async () => (await leases.of(key)).find((lease) => lease.attempt === 2)
  await expect.poll(second, { timeout: 20_000, interval: 20 }).toBeDefined()
  aws.heal()

  const all = await leases.of(key)
  const last = all.filter((lease) => lease.attempt === 1).at(-1)
  const next = await second()
  if (!last || !next) throw new Error('leases')
  // Its last lease ends within one lease of its death (a renewal that it had sent may still arrive), and the next one
  // begins only then.
  expect(last.until - killedAt).toBeLessThanOrEqual(LEASE_MS + 500)
  expect(next.at).toBeGreaterThanOrEqual(last.until)
  // Neither BullMQ's scan for stalled jobs (30 s) nor the longest act (15 s) was waited for.
  expect(next.at - killedAt).toBeLessThan(8_000)
  for (const { until, at } of all) expect(until - at).toBeLessThanOrEqual(LEASE_MS)

  expect(await world.ended(rotation, 120_000)).toBe('closed')
  await expectNoFailure(clients)
  await expectRotated(world, 2, old)
})

test('a rotator that is paused in mid-act for longer than its lease changes nothing when it wakes', async () => {
  const old = await currentValue(world)
  const clients = world.clients()
  const { rotation, key } = await startAndHang('a rotator is paused in mid-act')
  const paused = await leases.holderOf(key, rotators)
  process.kill(paused.pid ?? 0, 'SIGSTOP')
  try {
    await expect
      .poll(async () => (await leases.of(key)).at(-1)?.attempt, { timeout: 20_000 })
      .toBeGreaterThan(1)
    aws.heal()
    // It wakes where its call would do harm if it were made again: the stores have moved on.
    for await (const watched of world.control.watch(rotation))
      if (watched.type === 'entry' && watched.entry.type === 'ConfirmingStarted') break
  } finally {
    process.kill(paused.pid ?? 0, 'SIGCONT')
  }
  expect(await world.ended(rotation, 120_000)).toBe('closed')
  await expectNoFailure(clients)
  await expectRotated(world, 3, old)
  // It is the same process, which knows that the effect is not its own any more.
  await expect
    .poll(async () => (await readFile(paused.spec.logFile, 'utf8')).includes('the lease was lost'))
    .toBe(true)
})
