import { type Document as Doc, Document } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { type Ledger, migrate, openLedger } from './index.ts'

/** 10,000 deliveries of a few events, in every order, and one delivery of one of them must leave the same behind. */
const DELIVERIES = 10_000

const SPECS: [Doc['kind'], string, object][] = [
  [
    'Workload',
    'chat',
    { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team', zone: 'a' },
  ],
  [
    'Credential',
    'key',
    {
      workload: 'chat',
      purpose: 'api',
      direction: 'inbound',
      authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
      stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/b' }],
      // Causes would join for as long as it settles; here all come after the value's intent.
      rollout: { settleMs: 0 },
    },
  ],
  ['Rule', 'zone', { when: { change: ['zonechanged'] }, rotate: ['key'] }],
]

let ledger: Ledger
let db: pg.Client

beforeEach(async () => {
  const name = `repeats_${crypto.randomUUID().replaceAll('-', '')}`
  const url = await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, name)
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  db = new pg.Client({ connectionString: url })
  await db.connect()
  const documents = SPECS.map(([kind, name, spec]) =>
    Document.parse({ apiVersion: 'rekey.dev/v1', kind, metadata: { name }, spec }),
  )
  await ledger.configure(documents, { apply: true, actor: 'test' })
})
afterEach(async () => {
  await db.end()
  await ledger.close()
})

type Event = { id: string; zone: string; at: number }

const START = Date.parse('2026-01-01T00:00:00Z')
const FIRST: Event = { id: 'moved', zone: 'b', at: START + 5_000 }

/** The move to b, said again under other names; and what was said before it, and comes late. */
const EVENTS: Event[] = [
  FIRST,
  ...Array.from({ length: 20 }, (_, n) => ({ id: `again-${n}`, zone: 'b', at: START + 5_000 + n })),
  ...Array.from({ length: 20 }, (_, n) => ({ id: `before-${n}`, zone: n % 2 ? 'a' : 'c', at: START + n })),
]

const deliver = ({ id, zone, at }: Event) =>
  ledger.receive({
    source: 'pipeline',
    id,
    digest: `${id} ${zone}`,
    emitter: 'demo',
    change: { type: 'zonechanged', workload: 'chat', facts: { zone }, at },
  })

/** Everything that the ledger holds but for when it was written, and the verdicts of the events themselves. */
async function endState(): Promise<string> {
  const read = async (sql: string) => (await db.query(sql)).rows
  return JSON.stringify({
    workloads: await read("select name, spec, known - 'since' as known from workload order by name"),
    credentials: await read('select * from credential order by name'),
    generations: await read("select to_jsonb(g) - 'created_at' as g from generation g order by generation"),
    rotations: await read('select id, credential, state, spec from rotation order by id'),
    effects: await read('select key, kind, epoch, state, spec - $$due$$ as spec from effect order by key'),
    journal: await read(
      "select seq, type, data, actor from journal where stream like 'rotation/%' order by stream, seq",
    ),
  })
}

/** The first value is there, and the rotation that the move opens has not begun. */
async function settle(): Promise<void> {
  const leased = await untilLeased('key-g1.stage.vault-g1')
  await ledger.complete(leased, { kind: 'stage', storeVersion: 's', keyId: 'key.g1', proofKey: null }, 'w')
  const promoted = await untilLeased('key-g1.promote.vault-g1')
  await ledger.complete(promoted, { kind: 'promote', storeVersion: '1' }, 'w')
  expect((await ledger.showRotation('key-g1')).outcome).toBe('closed')
}

async function untilLeased(key: string) {
  for (;;) {
    await ledger.fireTimers('test')
    const leased = await ledger.lease(key, 'w', 5_000)
    if (leased) return leased
  }
}

test('10,000 duplicate, reordered and replayed events make one rotation, and the same state to the byte', async () => {
  await settle()
  expect((await deliver(FIRST)).verdict).toBe('rotation-opened')
  const once = await endState()
  const verdicts = new Map<string, number>()
  let seed = 7
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647
  }
  for (let sent = 0; sent < DELIVERIES; sent += 50) {
    const some = Array.from({ length: 50 }, () => EVENTS[Math.floor(random() * EVENTS.length)] ?? FIRST)
    for (const { verdict } of await Promise.all(some.map(deliver)))
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
  }
  expect(await endState()).toBe(once)
  expect([...verdicts.keys()].sort()).toEqual(['duplicate', 'no-change'])
  expect(verdicts.get('no-change')).toBe(EVENTS.length - 1)
  expect((await ledger.listRotations({})).map((r) => r.id)).toEqual(['key-g2', 'key-g1'])
  const { rows } = await db.query('select count(*)::int as n from inbox')
  expect(rows[0].n).toBe(EVENTS.length)
})
