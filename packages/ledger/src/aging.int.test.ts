import { Document } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { ScriptedWorkers } from './fixtures/scripted-workers.ts'
import { type Ledger, migrate, openLedger } from './index.ts'

const documents = (maxAge?: string) =>
  [
    {
      kind: 'Workload',
      metadata: { name: 'chat' },
      spec: { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team' },
    },
    ...['old', 'other'].map((name) => ({
      kind: 'Credential',
      metadata: { name },
      spec: {
        workload: 'chat',
        purpose: name,
        direction: 'inbound',
        authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1/' }] },
        stores: [{ name: `vault-${name}`, kind: 'vault-kv', path: `a/${name}` }],
        ...(name === 'old' && maxAge !== undefined && { maxAge }),
        rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0 },
      },
    })),
  ].map((document) => Document.parse({ apiVersion: 'rekey.dev/v1', ...document }))

let url: string
let ledger: Ledger
let admin: pg.Pool
beforeEach(async () => {
  url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `aging_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  admin = new pg.Pool({ connectionString: url, max: 1 })
})
afterEach(async () => {
  await admin.end()
  await ledger.close()
})

/** Both have their first value, which nobody made now: it was made so long ago. */
async function aged(maxAge: string | undefined, ago: string): Promise<void> {
  await ledger.configure(documents(maxAge), { apply: true, actor: 'test' })
  const workers = new ScriptedWorkers(ledger)
  for (const name of ['old', 'other']) expect(await workers.untilEnded(name, `${name}-g1`)).toBe('closed')
  await age(ago)
}

async function age(ago: string): Promise<void> {
  await admin.query(`update generation set created_at = created_at - $1::interval`, [ago])
  await admin.query(`update rotation set opened_at = opened_at - $1::interval`, [ago])
}

const opened = async () => (await ledger.listRotations({})).filter((r) => !r.id.endsWith('-g1'))

test('a value that is older than it may be is rotated, once, and others are left', async () => {
  await aged('90d', '91 days')
  const second = openLedger({ url, name: 'second' })
  try {
    const counts = await Promise.all(
      [ledger, second, ledger, second].map((one) => one.rotateAged('conductor')),
    )
    expect(counts.reduce((a, b) => a + b)).toBe(1)
  } finally {
    await second.close()
  }
  expect(await opened()).toMatchObject([
    {
      credential: 'old',
      mode: 'rotate',
      causes: 1,
      followUps: 0,
      cause: { kind: 'schedule', actor: 'conductor', reason: 'generation 1 is older than 90d' },
    },
  ])
})

test.each([
  ['90d', '89 days'],
  ['12h', '11 hours'],
  ['30m', '29 minutes'],
  [undefined, '1000 days'],
])('where it may get %s old, nothing happens after %s', async (maxAge, ago) => {
  await aged(maxAge, ago)
  expect(await ledger.rotateAged('conductor')).toBe(0)
  const [old] = await ledger.listCredentials('old')
  if (maxAge === undefined) expect(old?.dueAt).toBeNull()
  else expect(Date.parse(old?.dueAt ?? '') - Date.now()).toBeGreaterThan(0)
})

test('one that was rolled back is tried again after a day, not at once', async () => {
  await aged('90d', '91 days')
  await ledger.rotateAged('conductor')
  await admin.query(`update rotation set closed_at = now() where id = 'old-g2'`)
  await admin.query(`update credential set open_rotation = null where name = 'old'`)
  expect(await ledger.rotateAged('conductor')).toBe(0)
  await age('25 hours')
  expect(await ledger.rotateAged('conductor')).toBe(1)
})

test('one that is under way is left', async () => {
  await aged('90d', '91 days')
  await ledger.start('old', {
    cause: { kind: 'order', actor: 'me', reason: 'now' },
    mode: 'rotate',
    compromised: [],
    goal: 'replace',
  })
  expect(await ledger.rotateAged('conductor')).toBe(0)
  expect((await ledger.listCredentials('old'))[0]?.dueAt).toBeNull()
  expect(await opened()).toHaveLength(1)
})

test.each([
  ['offboarded', `update credential set retired_at = now() where name = 'old'`],
  [
    'held after a restore',
    `with r as (insert into recovery (id, asked_by, reason) values ('r', 'me', 'restored') returning id)
     insert into recovery_item (recovery, credential) select id, 'old' from r`,
  ],
])('one that is %s is left, and is no fault', async (_why, statement) => {
  await aged('90d', '91 days')
  await admin.query(statement)
  const faults: string[] = []
  expect(await ledger.rotateAged('conductor', (credential) => faults.push(credential))).toBe(0)
  expect(faults).toEqual([])
  expect(await opened()).toEqual([])
})

test('one that cannot be opened is told, and stops no other', async () => {
  await aged('90d', '91 days')
  await admin.query(`update credential set spec = spec || '{"maxAge": "1d"}' where name = 'other'`)
  await admin.query(`update credential set spec = spec || '{"stores": []}' where name = 'other'`)
  const faults: string[] = []
  expect(await ledger.rotateAged('conductor', (credential) => faults.push(credential))).toBe(1)
  expect(faults).toEqual(['other'])
})
