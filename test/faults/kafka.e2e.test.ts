import { type Stack, startStack } from '@rekey/local'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../e2e/world.ts'
import {
  currentValue,
  expectNoFailure,
  expectNoRestart,
  expectRotated,
  reaches,
  sendZoneChange,
} from './mid-rotation.ts'

/** Kafka brings changes and takes audit records. It is this test's own, and dies. */
let own: Stack
let world: World

beforeAll(async () => {
  own = await startStack({ only: ['kafka'], own: true })
  world = await startWorld({ stack: { ...inject('stack'), kafkaBrokers: own.kafka.brokers } })
})
afterAll(async () => {
  await world?.close()
  await own?.stop()
})

async function unsentRecords(): Promise<number> {
  const database = new pg.Client({ connectionString: world.servers.postgresUrl })
  await database.connect()
  const { rows } = await database.query(
    'select count(*)::int as n from journal j left join audit_out a on a.position = j.position where a.sent_at is null',
  )
  await database.end()
  return rows[0].n
}

describe('while Kafka is away', () => {
  test('an order runs up to the gate, and ends when the audit topic is back; events wait', async () => {
    const old = await currentValue(world)
    const clients = world.clients()
    await own.servers.kafka.kill()
    const { rotation } = await world.control.rotate(world.credential, 'Kafka is away')
    await reaches(world, rotation, 'RevocationAnnounced')
    // Nothing but the audit topic is missing, and that is said.
    await expect
      .poll(async () => (await world.control.rotation(rotation)).waitsFor, { timeout: 20_000 })
      .toEqual(['the audit topic has not acknowledged the intent'])
    const change = { id: 'while-kafka-is-away', zone: 'b' }
    const sent = sendZoneChange(world, change)
    expect((await world.control.rotation(rotation)).phase).toBe('Draining')
    // The old value is as good as the new one: no node was told to refuse it.
    const answer = await fetch(`${world.gateways[0]?.url}/v1/models`, {
      headers: { authorization: `Bearer ${old}` },
    })
    expect(answer.status).toBe(200)

    await own.servers.kafka.start()
    await sent
    expect(await world.ended(rotation, 120_000)).toBe('closed')
    await expectRotated(world, 2, old)
    // The event was not lost either.
    await expect
      .poll(async () => (await world.control.verdict(change.id, '/faults'))?.verdict, {
        timeout: 60_000,
      })
      .toMatch(/rotation-opened|queued/)
    expect(await world.ended(`${world.credential}-g3`, 120_000)).toBe('closed')
    await expectNoFailure(clients)
  })

  test('a rotation that an event made goes on, and its records are all there afterwards', async () => {
    const old = await currentValue(world)
    const clients = world.clients()
    await sendZoneChange(world, { id: 'before-kafka-dies', zone: 'c' })
    const rotation = `${world.credential}-g4`
    await expect
      .poll(async () => (await world.control.rotation(rotation).catch(() => undefined))?.id, {
        timeout: 30_000,
      })
      .toBe(rotation)
    await reaches(world, rotation, 'StagingStarted')
    await own.servers.kafka.kill()
    await reaches(world, rotation, 'ConfirmingStarted')
    await own.servers.kafka.start()
    expect(await world.ended(rotation, 120_000)).toBe('closed')
    await expectNoFailure(clients)
    await expectRotated(world, 4, old)
    await expect.poll(unsentRecords, { timeout: 30_000 }).toBe(0)
    await expectNoRestart(world)
  })
})
