import type { Secret } from '@rekey/contracts'
import type { RecoveryView } from '@rekey/ledger'
import pg from 'pg'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { startWorld, type World } from '../e2e/world.ts'
import { expectNoFailure, reaches } from './mid-rotation.ts'
import {
  ALL_BUT_CONTROL,
  auditRecords,
  backUp,
  brokenAt,
  rekey,
  restore,
  runbookOrders,
  startServices,
  stopServices,
} from './restore.ts'

let world: World

afterEach(() => world?.close())

async function current(): Promise<Secret> {
  const read = await world.readers.vault()
  if (!read) throw new Error('readers of Vault find nothing')
  return read.value
}

async function withBackup(): Promise<string> {
  await stopServices(world)
  const copy = await backUp(world)
  await startServices(world, ['control'])
  await startServices(world, ALL_BUT_CONTROL)
  return copy
}

/** Steps 1 to 3 of the runbook: up to what a human looks at. */
async function recovered(copy: string): Promise<RecoveryView> {
  await stopServices(world)
  await restore(world, copy)
  await startServices(world, ['control'])
  expect(await rekey(world, 'recover', '--reason', 'disk lost, restored the backup')).toMatchObject({
    exit: 30,
    out: expect.stringContaining('held'),
  })
  await startServices(world, ALL_BUT_CONTROL)
  let view: RecoveryView | undefined
  await expect
    .poll(
      async () => {
        const status = await rekey(world, 'recover', '--status', '--json')
        expect(status.exit).toBe(30)
        view = status.json() as RecoveryView
        return view.credentials[0]?.verdict ? view.auditHead : null
      },
      { timeout: 90_000, interval: 500 },
    )
    .not.toBeNull()
  if (!view) throw new Error('no status')
  return view
}

/** Ledger, stores and nodes say the same, and it is the only value that works. */
async function expectAgreed(generation: number, dead: Secret[]): Promise<void> {
  expect(await world.control.credential(world.credential)).toMatchObject({ currentGeneration: generation })
  const [vault, aws] = [await world.readers.vault(), await world.readers.aws()]
  expect([vault?.generation, aws?.generation]).toEqual([generation, generation])
  expect(await world.knock(await current())).toEqual([200, 200])
  for (const value of dead) expect(await world.knock(value)).toEqual([401, 401])
}

/** Nothing that the ledger did after its recovery was about a generation that was dead by then. */
function expectNotRevived(records: string[], dead: number[]): void {
  const entries = records.map((bytes) => JSON.parse(bytes).unmapped.rekey)
  const after = entries.slice(entries.findIndex((e) => e.type === 'RecoveryStarted'))
  expect(after.length).toBeGreaterThan(1)
  for (const { type, data } of after) {
    if (type === 'WaveStarted') expect(data.accept.filter((g: number) => dead.includes(g))).toEqual([])
    if (['StagingStarted', 'ValueStaged', 'PromotionAsked', 'StorePromoted', 'StoreRestored'].includes(type))
      expect(dead).not.toContain(data.generation)
  }
}

async function rotate(why: string): Promise<void> {
  const { rotation } = await world.control.rotate(world.credential, why)
  expect(await world.ended(rotation, 180_000)).toBe('closed')
}

describe('a ledger that was restored from an older backup', () => {
  test('goes on where the world is, and nobody noticed', async () => {
    world = await startWorld({ stack: inject('stack') })
    const clients = world.clients()
    const first = await current()
    const copy = await withBackup()
    await rotate('after the backup')
    const second = await current()
    await rotate('again')

    const view = await recovered(copy)
    expect(view).toMatchObject({
      held: 1,
      credentials: [
        {
          ledger: 1,
          verdict: 'newer',
          stores: [
            { store: 'vault', current: 3 },
            { store: 'aws', current: 3 },
          ],
          generations: [{ generation: 3, tried: 'accepted' }],
        },
      ],
    })
    await expect(world.control.rotate(world.credential, 'too soon')).rejects.toThrow(/rekey recover --status/)
    expect(await rekey(world, 'recover', '--release-all')).toMatchObject({ exit: 0 })
    expect(await rekey(world, 'recover', '--status')).toMatchObject({ exit: 0 })
    await expectAgreed(3, [first, second])
    const third = await current()
    await rotate('the first one after the recovery')
    await expectAgreed(1_002, [first, second, third])
    await expectNoFailure(clients)

    const records = await auditRecords(world)
    expect(brokenAt(records)).toBeUndefined()
    expectNotRevived(records, [1, 2])
    expect(new Set(await runbookOrders())).toEqual(
      new Set(['--reason', '--status', '--release', '--release-all']),
    )
  })

  test('continues the rotation that was under way, and cuts no client', async () => {
    world = await startWorld({ stack: inject('stack'), rollout: { quietMs: 3_000, readerCacheMs: 5_000 } })
    const clients = world.clients()
    const copy = await withBackup()
    const first = await current()
    const { rotation } = await world.control.rotate(world.credential, 'half-way')
    await reaches(world, rotation, 'SuccessorLive')

    const view = await recovered(copy)
    expect(view.credentials).toMatchObject([
      {
        verdict: 'newer',
        generations: [
          { generation: 1, tried: 'accepted' },
          { generation: 2, tried: 'accepted' },
        ],
      },
    ])
    const { json } = await rekey(world, 'recover', '--release', world.credential, '--json')
    const [released] = (json() as { released: { rotation: string }[] }).released
    expect(await world.ended(released?.rotation ?? '', 180_000)).toBe('closed')
    await expectAgreed(2, [first])
    await rotate('the first one after the recovery')
    await expectAgreed(1_002, [first])
    await expectNoFailure(clients)
    const records = await auditRecords(world)
    expect(brokenAt(records)).toBeUndefined()
  })

  test('lets a human choose where one store had moved and the other had not', async () => {
    world = await startWorld({ stack: inject('stack') })
    const clients = world.clients()
    const copy = await withBackup()
    const first = await current()
    // The second store cannot be moved: somebody took its effect away for longer than this test lasts.
    await inLedger(`
      create function late() returns trigger language plpgsql as
        $$ begin new.due := new.due + interval '1 hour'; return new; end $$;
      create trigger late before insert on effect for each row
        when (new.kind = 'promote' and new.store = 'aws') execute function late()`)
    const { rotation } = await world.control.rotate(world.credential, 'between two stores')
    await reaches(world, rotation, 'StorePromoted')

    const view = await recovered(copy)
    expect(view.credentials).toMatchObject([
      {
        verdict: 'differs',
        stores: [
          { store: 'vault', current: 2 },
          { store: 'aws', current: 1 },
        ],
      },
    ])
    const refused = await rekey(world, 'recover', '--release-all')
    expect(refused).toMatchObject({ exit: 30, out: expect.stringContaining('choose one of 1, 2') })
    const order = ['recover', '--release', world.credential, '--generation', '2', '--json']
    const { json } = await rekey(world, ...order)
    const [released] = (json() as { released: { rotation: string }[] }).released
    expect(await world.ended(released?.rotation ?? '', 180_000)).toBe('closed')
    await expectAgreed(2, [first])
    await expectNoFailure(clients)
    expect(brokenAt(await auditRecords(world))).toBeUndefined()
  })
})

async function inLedger(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: world.servers.postgresUrl })
  await client.connect()
  await client.query(sql).finally(() => client.end())
}
