import type { SupervisedProcess } from '@rekey/platform'
import { type FaultProxy, startFaultProxy } from '@rekey/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../e2e/world.ts'
import { currentValue, expectNoFailure, expectRotated } from './mid-rotation.ts'

/** Every lease that is given or renewed, on the database's clock. */
const LEASES = `
  create table leases_seen (key text, attempt integer, by text, until timestamptz, at timestamptz default clock_timestamp());
  create function lease_seen() returns trigger language plpgsql as $$
  begin
    insert into leases_seen (key, attempt, by, until) values (new.key, new.attempt, new.lease_by, new.lease_until);
    return null;
  end $$;
  create trigger lease_seen after update of lease_until on effect for each row
    when (new.lease_until is not null and new.kind not in ('timer', 'deliver'))
    execute function lease_seen();`

/** The default of REKEY_LEASE_MS: nothing is set for this test. */
const LEASE_MS = 1_500

let world: World
let database: pg.Client
let aws: FaultProxy
const rotators: SupervisedProcess[] = []

beforeAll(async () => {
  const stack = inject('stack')
  aws = await startFaultProxy(stack.awsEndpoint)
  world = await startWorld({ stack, servers: { awsEndpoint: aws.url } })
  rotators.push(world.platform.services.rotator, await world.platform.another('rotator', 'second-rotator'))
  database = new pg.Client({ connectionString: world.servers.postgresUrl })
  await database.connect()
  await database.query(LEASES)
})
afterAll(async () => {
  await database?.end()
  await world?.close()
  await aws?.close()
})

type Seen = { attempt: number; by: string; until: number; at: number }

async function leasesOf(key: string): Promise<Seen[]> {
  const { rows } = await database.query(
    `select attempt, by, (extract(epoch from until) * 1000)::float as until, (extract(epoch from at) * 1000)::float as at
     from leases_seen where key = $1 order by at`,
    [key],
  )
  return rows
}

async function now(): Promise<number> {
  const { rows } = await database.query('select (extract(epoch from clock_timestamp()) * 1000)::float as now')
  return rows[0].now
}

test('what a killed rotator had under way is taken by another as soon as its lease ends', async () => {
  const old = await currentValue(world)
  const clients = world.clients()
  // The server acts and never answers: a rotator is in mid-act for as long as this lasts.
  aws.arm('every', { kind: 'hang' })
  const { rotation } = await world.control.rotate(world.credential, 'a rotator dies in mid-act')
  const key = `${rotation}.stage.aws-g2`
  await expect.poll(async () => (await leasesOf(key)).length, { timeout: 20_000 }).toBeGreaterThan(5)
  const before = await leasesOf(key)
  // It is renewed far past its first length, and is still the first attempt.
  expect(new Set(before.map((lease) => lease.attempt))).toEqual(new Set([1]))
  expect((before.at(-1)?.until ?? 0) - (before[0]?.at ?? 0)).toBeGreaterThan(2 * LEASE_MS)

  const pid = Number(before[0]?.by.split('-').at(-1))
  const victim = rotators.find((rotator) => rotator.pid === pid)
  if (!victim) throw new Error(`no rotator has pid ${pid}`)
  await victim.kill()
  const killedAt = await now()
  await expect
    .poll(async () => (await leasesOf(key)).some((lease) => lease.attempt === 2), {
      timeout: 20_000,
      interval: 20,
    })
    .toBe(true)
  aws.heal()

  const all = await leasesOf(key)
  const last = all.filter((lease) => lease.attempt === 1).at(-1)
  const next = all.find((lease) => lease.attempt === 2)
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
