import { Document } from '@rekey/contracts'
import type { Asked, Mode } from '@rekey/core'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Lane, type Ledger, migrate, openLedger } from './index.ts'

/** Which effects are an emergency's, and in what order work is given out. */
let ledger: Ledger
let admin: pg.Client
let startedAt: number

beforeEach(async () => {
  startedAt = Date.now()
  const url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `lanes_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query(`
    insert into workload (name, spec, known) values ('chat', '{}', '{}');
    insert into credential (name, workload, purpose, spec) values ('old', 'chat', 'api', '{}')`)
})
afterEach(async () => {
  await ledger.close()
  await admin.end()
})

/** A rotation whose rows are written by this test. */
async function rotation(id: string, mode?: Mode): Promise<void> {
  const state = JSON.stringify({ id, credential: 'old', ...(mode && { mode }) })
  await admin.query("insert into rotation (id, credential, state, spec) values ($1, 'old', $2, '{}')", [
    id,
    state,
  ])
}

/** `count` effects of it, `dueMs` from the start of the test: named in another order than they are written. */
async function effects(
  of: string,
  name: string,
  row: { kind?: string; dueMs?: number; count?: number } = {},
) {
  const { kind = 'stage', dueMs = -5_000, count = 1 } = row
  await admin.query(
    `insert into effect (key, rotation, kind, epoch, spec, due)
     select $2 || case when $5 = 1 then '' else '-' || lpad(n::text, 5, '0') end, $1, $3, 0, '{}',
            to_timestamp($6::double precision / 1000) + $4 * interval '1 millisecond'
     from generate_series($5, 1, -1) as n`,
    [of, name, kind, dueMs, count, startedAt],
  )
}

const keysTaken = async (lane?: Lane) =>
  (await ledger.takeWaiting(60_000, lane)).map((waiting) => waiting.key)
const look = (limit: number, lane?: Lane) =>
  ledger.unattended({ worker: 'rotator', graceMs: 0, limit, ...(lane && { lane }) })

describe('what is given out', () => {
  test('is emergencies first, then by due time, then by name', async () => {
    await rotation('routine', 'rotate')
    await rotation('leaked', 'expedite')
    await rotation('bleeding', 'contain')
    await effects('routine', 'r', { dueMs: -9_000, count: 3 })
    await effects('leaked', 'late', { dueMs: -1_000 })
    await effects('leaked', 'b')
    await effects('bleeding', 'a')
    const inOrder = ['a', 'b', 'late', 'r-00001', 'r-00002', 'r-00003']
    expect((await look(10)).keys).toEqual(inOrder)
    expect((await look(4)).keys).toEqual(inOrder.slice(0, 4))
    expect(await keysTaken()).toEqual(inOrder)
  })

  test('is never a page of routine effects while an emergency waits', async () => {
    for (let n = 100; n < 200; n++) {
      await rotation(`routine-${n}`, 'rotate')
      await effects(`routine-${n}`, `r-${n}`, { dueMs: -60_000, count: 100 })
    }
    await rotation('leaked', 'expedite')
    await effects('leaked', 'x', { dueMs: -1 })
    await effects('leaked', 'd', { dueMs: -1, kind: 'deliver' })
    expect((await look(1)).keys).toEqual(['x'])
    expect((await ledger.unattended({ worker: 'fleet', graceMs: 0, limit: 1 })).keys).toEqual(['d'])
    const page = await keysTaken()
    expect(page).toHaveLength(100)
    expect(page.slice(0, 3)).toEqual(['d', 'x', 'r-100-00001'])
  })

  test('is of one lane where one is asked for', async () => {
    await rotation('routine', 'rotate')
    await rotation('leaked', 'expedite')
    await effects('routine', 'r')
    await effects('leaked', 'x')
    expect((await look(10, 'emergency')).keys).toEqual(['x'])
    expect((await look(10, 'routine')).keys).toEqual(['r'])
    expect(await keysTaken('emergency')).toEqual(['x'])
    expect(await keysTaken('emergency')).toEqual([])
    expect(await keysTaken('routine')).toEqual(['r'])
  })

  test('of a rotation that release 0.1 wrote is routine: it knew no modes', async () => {
    await rotation('older')
    await effects('older', 'r')
    expect((await look(10, 'emergency')).keys).toEqual([])
    expect((await look(10, 'routine')).keys).toEqual(['r'])
  })

  test('is looked for again when the lane that was asked for has something', async () => {
    await rotation('routine', 'rotate')
    await rotation('leaked', 'expedite')
    await effects('routine', 'r')
    await admin.query("update effect set lease_until = now() + interval '1 minute'")
    await effects('routine', 't', { dueMs: 60_000, kind: 'timer' })
    await effects('leaked', 'x', { dueMs: 300_000 })
    await effects('leaked', 'u', { dueMs: 300_000, kind: 'timer' })
    const soon = [
      await ledger.nextWorkMs(0),
      await ledger.nextWorkMs(0, 'routine'),
      await ledger.nextTimerMs(),
      await ledger.nextTimerMs('routine'),
      (await look(10)).nextMs,
      (await look(10, 'routine')).nextMs,
    ]
    for (const ms of soon) expect(ms).toBeLessThanOrEqual(60_000)
    expect(await ledger.nextWorkMs(0, 'emergency')).toBeGreaterThan(100_000)
    expect(await ledger.nextTimerMs('emergency')).toBeGreaterThan(100_000)
    expect((await look(10, 'emergency')).nextMs).toBeUndefined()
  })
})

const documentsOf = (...names: string[]) =>
  names.flatMap((name) =>
    [
      {
        kind: 'Workload',
        metadata: { name: `${name}-chat` },
        spec: { spiffeId: `spiffe://example.org/${name}`, environment: 'prod', owner: 'team', zone: 'a' },
      },
      {
        kind: 'Credential',
        metadata: { name },
        spec: {
          workload: `${name}-chat`,
          purpose: 'api',
          direction: 'inbound',
          authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
          stores: [{ name: 'vault', kind: 'vault-kv', path: `a/${name}` }],
          rollout: { settleMs: 0 },
        },
      },
    ].map((document) => Document.parse({ apiVersion: 'rekey.dev/v1', ...document })),
  )

const ask = (mode: Mode): Asked => ({
  cause: { kind: 'order', actor: 'me', reason: 'r' },
  mode,
  goal: 'replace',
  compromised: [],
})

describe('a rotation that is raised', () => {
  /** Told of each announcement, with its lane. */
  async function listening(): Promise<{ heard: Lane[]; close(): Promise<void> }> {
    const heard: Lane[] = []
    const listener = ledger.onEffects((lane) => void heard.push(lane))
    // The connection itself is news of both.
    await expect.poll(() => heard.length).toBe(2)
    heard.length = 0
    return { heard, close: listener.close }
  }

  test('counts as an emergency at once, and is woken for again: its wake-ups stand behind all the others', async () => {
    await ledger.configure(documentsOf('key', 'other'), { apply: true, actor: 'test' })
    await ledger.fireTimers('test')
    expect(await keysTaken('routine')).toEqual(['key-g1.stage.vault-g1', 'other-g1.stage.vault-g1'])
    expect(await keysTaken()).toEqual([])
    await ledger.start('key', ask('expedite'))
    expect(await keysTaken('routine')).toEqual([])
    const [again, ...rest] = await ledger.takeWaiting(60_000, 'emergency')
    expect(again).toMatchObject({ key: 'key-g1.stage.vault-g1', relays: 2 })
    expect(rest).toEqual([])
    // Once: a cause that raises nothing wakes nobody.
    await ledger.start('key', ask('expedite'))
    expect(await keysTaken()).toEqual([])
  })

  test('is told with each lease: a worker may use what backends keep back for emergencies', async () => {
    await ledger.configure(documentsOf('key', 'other'), { apply: true, actor: 'test' })
    await ledger.fireTimers('test')
    await ledger.start('key', ask('expedite'))
    expect(await ledger.lease('key-g1.stage.vault-g1', 'w', 60_000)).toMatchObject({ urgent: true })
    expect(await ledger.lease('other-g1.stage.vault-g1', 'w', 60_000)).toMatchObject({ urgent: false })
  })

  test('leaves what is under way with whom it is', async () => {
    await ledger.configure(documentsOf('key', 'other'), { apply: true, actor: 'test' })
    await ledger.fireTimers('test')
    await keysTaken()
    const leased = await ledger.lease('key-g1.stage.vault-g1', 'w', 60_000)
    await ledger.start('key', ask('expedite'))
    expect(await keysTaken('emergency')).toEqual([])
    expect(
      await ledger.renew([{ key: 'key-g1.stage.vault-g1', attempt: leased?.attempt ?? 0 }], 60_000),
    ).toEqual(['key-g1.stage.vault-g1'])
  })

  test('is announced as what it is', async () => {
    await ledger.configure(documentsOf('key', 'other'), { apply: true, actor: 'test' })
    const { heard, close } = await listening()
    await ledger.fireTimers('test', { lane: 'routine' })
    await expect.poll(() => heard).toContain('routine')
    expect(heard).not.toContain('emergency')
    await ledger.start('key', ask('contain'))
    await expect.poll(() => heard).toContain('emergency')
    await close()
  })

  test('has its timers fired apart from the others', async () => {
    await ledger.configure(documentsOf('key', 'other'), { apply: true, actor: 'test' })
    expect(await ledger.fireTimers('test', { lane: 'emergency' })).toBe(0)
    await ledger.start('key', ask('expedite'))
    const { rows } = await admin.query(
      "update effect set due = now() where kind = 'timer' and state = 'pending' returning rotation",
    )
    const own = rows.filter((row) => row.rotation === 'key-g1').length
    expect(own).toBeGreaterThan(0)
    expect(await ledger.fireTimers('test', { lane: 'emergency' })).toBe(own)
    expect(await ledger.fireTimers('test', { lane: 'emergency' })).toBe(0)
    expect(await ledger.fireTimers('test', { lane: 'routine' })).toBe(rows.length - own)
  })
})

describe('a decision about an emergency', () => {
  test('does not stand behind the routine ones that wait to be written', async () => {
    const routine = ['a', 'b', 'c', 'd', 'e']
    await ledger.configure(documentsOf('key', ...routine), { apply: true, actor: 'test' })
    const waiting = (count: number) =>
      expect
        .poll(async () => {
          // What is seen once in a transaction stays as it was.
          await admin.query('select pg_stat_clear_snapshot()')
          const { rows } = await admin.query(
            "select from pg_stat_activity where application_name = 'test' and wait_event_type = 'Lock' and datname = current_database()",
          )
          return rows.length
        })
        .toBe(count)
    const [last] = await ledger.journal({ limit: 1_000 }).then((entries) => entries.slice(-1))
    await admin.query('begin')
    await admin.query("select from counter where name = 'position' for update")
    const decisions = routine.map((name) => ledger.start(name, ask('rotate')))
    await waiting(routine.length)
    decisions.push(ledger.start('key', ask('expedite')))
    await waiting(routine.length + 1)
    await admin.query('commit')
    await Promise.all(decisions)
    const written = await ledger.journal({ after: last?.position ?? 0 })
    const streams = [...new Set(written.map((entry) => entry.stream))]
    expect(streams).toHaveLength(routine.length + 1)
    // Behind the one that waits for the counter itself.
    expect(streams.indexOf('rotation/key-g1')).toBe(1)
  })
})
