import { Document } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Ledger, migrate, openLedger } from './index.ts'

/** Who may act on an effect, and for how long. The rows are written by this test: what a rotation wants is not asked here. */
let ledger: Ledger
let admin: pg.Client

beforeEach(async () => {
  const url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `lease_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query(`
    insert into workload (name, spec, known) values ('chat', '{}', '{}');
    insert into credential (name, workload, purpose, spec) values ('key', 'chat', 'api', '{}');
    insert into rotation (id, credential, state, spec) values ('key-g1', 'key', '{"id":"key-g1","credential":"key"}', '{}')`)
})
afterEach(async () => {
  await ledger.close()
  await admin.end()
})

const DOCUMENTS = [
  {
    apiVersion: 'rekey.dev/v1',
    kind: 'Workload',
    metadata: { name: 'others' },
    spec: { spiffeId: 'spiffe://example.org/others', environment: 'prod', owner: 'team', zone: 'a' },
  },
  {
    apiVersion: 'rekey.dev/v1',
    kind: 'Credential',
    metadata: { name: 'other' },
    spec: {
      workload: 'others',
      purpose: 'api',
      direction: 'inbound',
      authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
      stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/b' }],
      rollout: { settleMs: 0 },
    },
  },
]

type Row = { kind?: string; store?: string; epoch?: number; state?: string; dueMs?: number; leaseMs?: number }

/** `dueMs` and `leaseMs` count from now, on the database's clock. */
async function effect(key: string, row: Row = {}): Promise<string> {
  const { kind = 'stage', store = null, epoch = 0, state = 'pending', dueMs = 0, leaseMs = null } = row
  await admin.query(
    `insert into effect (key, rotation, kind, store, epoch, state, spec, due, lease_until, attempt)
     values ($1, 'key-g1', $2, $3, $4, $5, '{}', clock_timestamp() + $6 * interval '1 millisecond',
             clock_timestamp() + $7::int * interval '1 millisecond', case when $7::int is null then 0 else 1 end)`,
    [key, kind, store, epoch, state, dueMs, leaseMs],
  )
  return key
}

async function leaseOf(key: string): Promise<number> {
  const { rows } = await admin.query(
    'select (extract(epoch from lease_until) * 1000)::bigint as until from effect where key = $1',
    [key],
  )
  return rows[0].until
}

const look = (worker: 'rotator' | 'fleet' = 'rotator', graceMs = 0, limit = 10) =>
  ledger.unattended({ worker, graceMs, limit })

describe('a lease', () => {
  test('is renewed for all that a worker holds, and lasts on from there', async () => {
    const held = await Promise.all(['a', 'b'].map((key) => effect(key, { leaseMs: 400 })))
    const before = await leaseOf('a')
    const renewed = await ledger.renew(
      held.map((key) => ({ key, attempt: 1 })),
      5_000,
    )
    expect(renewed.sort()).toEqual(['a', 'b'])
    expect(await leaseOf('a')).toBeGreaterThan(before + 3_000)
    expect(await ledger.lease('a', 'other', 400)).toBeUndefined()
  })

  test('never becomes shorter, whatever a worker asks for', async () => {
    await effect('a', { leaseMs: 60_000 })
    const before = await leaseOf('a')
    expect(await ledger.renew([{ key: 'a', attempt: 1 }], 10)).toEqual(['a'])
    expect(await leaseOf('a')).toBe(before)
  })

  test('that ended is not brought back, even where nobody has taken the effect since', async () => {
    await effect('a', { leaseMs: -1 })
    const before = await leaseOf('a')
    expect(await ledger.renew([{ key: 'a', attempt: 1 }], 5_000)).toEqual([])
    expect(await leaseOf('a')).toBe(before)
  })

  test('is of one attempt: the next one cannot be renewed by the worker before', async () => {
    await effect('a', { leaseMs: -1 })
    const next = await ledger.lease('a', 'next', 5_000)
    expect(next?.attempt).toBe(2)
    expect(await ledger.renew([{ key: 'a', attempt: 1 }], 60_000)).toEqual([])
    expect(await ledger.renew([{ key: 'a', attempt: 2 }], 60_000)).toEqual(['a'])
  })

  test('is not renewed once its plan was given up, and still ends when it was to end', async () => {
    await effect('a', { leaseMs: 5_000, state: 'cancelled' })
    const before = await leaseOf('a')
    expect(await ledger.renew([{ key: 'a', attempt: 1 }], 60_000)).toEqual([])
    expect(await leaseOf('a')).toBe(before)
  })

  test('is renewed while the row of another one is locked, and does not wait for that', async () => {
    await effect('a', { leaseMs: 5_000 })
    await effect('b', { leaseMs: 5_000 })
    await admin.query('begin')
    await admin.query("select from effect where key = 'a' for update")
    const held = ['a', 'b'].map((key) => ({ key, attempt: 1 }))
    expect(await ledger.renew(held, 60_000)).toEqual(['b'])
    await admin.query('commit')
    expect((await ledger.renew(held, 60_000)).sort()).toEqual(['a', 'b'])
  })

  test('keeps a contrary effect waiting for as long as it was renewed, and no longer than that', async () => {
    await effect('old', { store: 'vault', leaseMs: 200 })
    await effect('new', { store: 'vault', epoch: 1 })
    expect(await ledger.renew([{ key: 'old', attempt: 1 }], 600)).toEqual(['old'])
    await admin.query("update effect set state = 'cancelled' where key = 'old'")
    const until = await leaseOf('old')
    expect(await ledger.lease('new', 'w', 1_000)).toBeUndefined()
    await expect.poll(() => ledger.lease('new', 'w', 60_000), { timeout: 5_000, interval: 20 }).toBeDefined()
    expect((await leaseOf('new')) - 60_000).toBeGreaterThanOrEqual(until)
  })
})

describe('a decision', () => {
  test('that counts with open leases is in force before one of them is renewed', async () => {
    const [workload, credential] = DOCUMENTS.map((document) => Document.parse(document))
    if (!workload || !credential) throw new Error('documents')
    await ledger.configure([workload, credential], { apply: true, actor: 'test' })
    await ledger.fireTimers('test')
    const leased = await ledger.lease('other-g1.stage.vault-g1', 'w', 60_000)
    expect(leased).toBeDefined()
    const held = [{ key: 'other-g1.stage.vault-g1', attempt: 1 }]
    // The decision is made, and waits for the journal's counter.
    await admin.query('begin')
    await admin.query("select from counter where name = 'position' for update")
    const cause = { kind: 'order', actor: 'me', reason: 'once more' } as const
    const deciding = ledger.start('other', { cause, mode: 'rotate', goal: 'replace', compromised: [] })
    await expect
      .poll(async () => {
        const { rows } = await admin.query(
          "select from pg_stat_activity where application_name = 'test' and wait_event_type = 'Lock' and datname = current_database()",
        )
        return rows.length
      })
      .toBe(1)
    const before = await leaseOf('other-g1.stage.vault-g1')
    expect(await ledger.renew(held, 600_000)).toEqual([])
    await admin.query('commit')
    expect((await deciding).how).toBe('queued')
    expect(await leaseOf('other-g1.stage.vault-g1')).toBe(before)
    // It was not about this effect, which goes on.
    expect(await ledger.renew(held, 600_000)).toEqual(['other-g1.stage.vault-g1'])
  })
})

describe('what nobody attends to', () => {
  test('is what is due without a lease for longer than the grace, the first due first', async () => {
    await effect('waits', { dueMs: -3_000 })
    await effect('waits-longer', { dueMs: -5_000 })
    await effect('lease-ended', { dueMs: -9_000, leaseMs: -4_000 })
    await effect('just-due', { dueMs: -10 })
    await effect('leased', { dueMs: -3_000, leaseMs: 60_000 })
    await effect('later', { dueMs: 60_000 })
    await effect('done', { dueMs: -3_000, state: 'done' })
    expect((await look('rotator', 1_000)).keys).toEqual(['lease-ended', 'waits-longer', 'waits'])
    expect((await look('rotator', 1_000, 2)).keys).toEqual(['lease-ended', 'waits-longer'])
  })

  test('says when the next one will have waited for long enough', async () => {
    await effect('soon', { dueMs: 900 })
    await effect('leased', { dueMs: -3_000, leaseMs: 900_000 })
    // A grace that outlasts any pause of the machine.
    const { keys, nextMs } = await look('rotator', 600_000)
    expect(keys).toEqual([])
    expect(nextMs).toBeGreaterThan(500_000)
    expect(nextMs).toBeLessThanOrEqual(600_900)
  })

  test('is shown to the worker whose kind it is; timers are of neither', async () => {
    await effect('stage', { dueMs: -1 })
    await effect('deliver', { dueMs: -1, kind: 'deliver' })
    await effect('timer', { dueMs: -1, kind: 'timer' })
    expect((await look('rotator')).keys).toEqual(['stage'])
    expect((await look('fleet')).keys).toEqual(['deliver'])
  })

  test('does not hold what must wait for a late act', async () => {
    await effect('old', { store: 'vault', leaseMs: 5_000, state: 'cancelled' })
    await effect('new', { store: 'vault', epoch: 1, dueMs: -3_000 })
    const { keys, nextMs } = await look()
    expect(keys).toEqual([])
    expect(nextMs).toBeGreaterThan(4_000)
    // Nor is anybody woken for it before that.
    expect(await ledger.takeWaiting(0)).toEqual([])
    expect(await ledger.nextWorkMs(0)).toBeGreaterThan(4_000)
  })
})
