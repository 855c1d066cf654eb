import type { SupervisedProcess } from '@rekey/platform'
import { SERVICE_NAMES } from '@rekey/platform'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { startWorld, type World } from './world.ts'

/**
 * Every service dies by SIGKILL at every effect of a rotation, once each, and the rotation still ends right.
 *
 * A trigger of this test's own database makes each new effect due a little later, so that the process is dead before
 * anybody can take the effect up; and it announces the effect.
 */
const SLOW = `
  create function announce() returns trigger language plpgsql as $$
  begin
    if new.kind <> 'timer' then
      new.due := greatest(new.due, clock_timestamp()) + interval '150 ms';
      perform pg_notify('test_effects', new.key);
    end if;
    return new;
  end $$;
  create trigger announce before insert on effect for each row execute function announce();`

let world: World
let database: pg.Client
let onEffect: (key: string) => void = () => undefined

beforeAll(async () => {
  world = await startWorld({ stack: inject('stack') })
  database = new pg.Client({ connectionString: world.servers.postgresUrl })
  await database.connect()
  await database.query(SLOW)
  database.on('notification', ({ payload }) => onEffect(payload ?? ''))
  await database.query('listen test_effects')
})
afterAll(async () => {
  await database?.end()
  await world?.close()
})

describe.each([...SERVICE_NAMES, 'agent'] as const)('%s killed at every effect', (name) => {
  test('leaves nothing half done', async () => {
    const before = await world.control.credential(world.credential)
    const base = before.currentGeneration ?? 0
    const next = base + 1
    const old = (await world.readers.vault())?.value
    if (!old) throw new Error('no value before the rotation')
    const clients = world.clients()
    const killed: string[] = []
    onEffect = (key) => {
      killed.push(key)
      void victim(name, world).kill()
    }
    const { rotation } = await world.control.rotate(world.credential, `kill ${name}`)
    expect(await world.ended(rotation, 120_000)).toBe('closed')
    onEffect = () => undefined
    await victim(name, world).untilReady()
    const { failed, ok, streamsFailed, failures } = await clients.stop()

    expect(killed.length, killed.join(' ')).toBeGreaterThanOrEqual(12)
    expect({ failed, streamsFailed, failures }).toEqual({ failed: 0, streamsFailed: 0, failures: [] })
    expect(ok).toBeGreaterThan(0)
    const after = await world.control.credential(world.credential)
    expect(after).toMatchObject({ currentGeneration: next, openRotation: null })
    expect(after.generations.at(-2)).toMatchObject({ generation: base, validity: 'destroyed', label: null })
    expect((await world.control.rotation(rotation)).exceptions).toEqual([])
    expect([(await world.readers.vault())?.generation, (await world.readers.aws())?.generation]).toEqual([
      next,
      next,
    ])
    expect(await world.knock(old)).toEqual(world.gateways.map(() => 401))
    const current = (await world.readers.aws())?.value
    if (!current) throw new Error('no value after the rotation')
    expect(await world.knock(current)).toEqual(world.gateways.map(() => 200))
    const { rows } = await database.query('select count(*)::int as n from rotation where closed_at is null')
    expect(rows[0].n).toBe(0)
  })
})

function victim(
  name: (typeof SERVICE_NAMES)[number] | 'agent',
  { platform, gateways }: World,
): SupervisedProcess {
  const process = name === 'agent' ? gateways[0]?.agent : platform.services[name]
  if (!process) throw new Error(`no process named ${name}`)
  return process
}
