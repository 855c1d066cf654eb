import { type ClientUse, Document, digestOf } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { ScriptedWorkers } from './fixtures/scripted-workers.ts'
import { type Ledger, migrate, openLedger } from './index.ts'

const at = (kind: string, name: string, spec: object) =>
  Document.parse({ apiVersion: 'rekey.dev/v1', kind, metadata: { name }, spec })
const CLIENTS = [{ name: 'batch-jobs', addresses: ['10.1.0.0/16'] }]

let ledger: Ledger
let database: pg.Client
let sessions: Record<string, number>

beforeEach(async () => {
  const name = `knocks_${crypto.randomUUID().replaceAll('-', '')}`
  const url = await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, name)
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  database = new pg.Client({ connectionString: url })
  await database.connect()
})
afterEach(async () => {
  await database.end()
  await ledger.close()
})

/** Two nodes; generation 1 is dead, generation 2 in use. */
async function given(spec: object = { clients: CLIENTS }): Promise<void> {
  await ledger.configure(
    [
      at('Workload', 'chat', { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team' }),
      at('Credential', 'key', {
        workload: 'chat',
        purpose: 'api',
        direction: 'inbound',
        authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
        stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/b' }],
        rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0 },
        ...spec,
      }),
    ],
    { apply: true, actor: 'me' },
  )
  sessions = { n1: await join('n1'), n2: await join('n2') }
  const workers = new ScriptedWorkers(ledger)
  await workers.untilEnded('key', 'key-g1')
  expect((await ledger.fleet.desiredStates(['n1'])).get('n1')).toMatchObject([{ dead: [] }])
  const cause = { kind: 'order', actor: 'me', reason: 'r' } as const
  await ledger.start('key', { cause, mode: 'rotate', goal: 'replace', compromised: [] })
  await workers.untilEnded('key', 'key-g2')
}

async function join(node: string): Promise<number> {
  const { token } = await ledger.createJoinToken({ node, workload: 'chat', ttlMs: 60_000, actor: 'me' })
  await ledger.fleet.redeemJoinToken(node, token)
  return (await ledger.fleet.openSession({ node, boot: 'b', instance: 'i' })).session
}

const use = (generation: number, address: string, requests: number, lastUseAgeMs = 50): ClientUse => ({
  generation,
  address,
  requests,
  lastUseAgeMs,
})
const report = (node: string, more: object, session = sessions[node] ?? 0) => ({
  type: 'usage' as const,
  node,
  session,
  credential: 'key',
  generations: [],
  ...more,
})
const knocks = (node: string, knocked: ClientUse[], session?: number) =>
  ledger.fleet.recordKnocks([report(node, { graveyard: { watched: [1], knocks: knocked } }, session)])
const entries = async () =>
  (await ledger.journal({ stream: 'credential/key' })).map(({ type, actor, data }) => ({
    type,
    actor,
    ...data,
  }))
/** As if the journal had been told of everything so long ago. */
const ago = (interval: string) => database.query(`update knock_told set at = at - interval '${interval}'`)
/** By its public id, so that no Vault is needed. */
async function who(generation: number) {
  const { found } = await ledger.who({ digests: [digestOf(`key.g${generation}`)], fingerprints: [] })
  return found[0]?.[0]
}

describe('a knock', () => {
  test('is told to the nodes as what they shall look out for, once the generation is dead', async () => {
    await given()
    expect((await ledger.fleet.desiredStates(['n1'])).get('n1')).toMatchObject([{ dead: [1] }])
  })

  test('is journalled at once, with who and where, and a repeated report adds nothing', async () => {
    await given()
    await knocks('n1', [use(1, '203.0.113.9', 1)])
    await knocks('n1', [use(1, '203.0.113.9', 1)])
    expect(await entries()).toMatchObject([
      {
        type: 'DeadKeyUsed',
        actor: 'fleet',
        credential: 'key',
        generation: 1,
        keyId: 'key.g1',
        rotation: 'key-g2',
        address: '203.0.113.9',
        client: null,
        declared: true,
        requests: 1,
        total: 1,
        nodes: ['n1'],
      },
    ])
    expect((await who(1))?.knocks).toMatchObject({
      requests: 1,
      from: [{ address: '203.0.113.9', client: null, nodes: ['n1'], requests: 1 }],
      watchedBy: ['n1'],
      notWatchedBy: ['n2'],
    })
    const { generations } = (await ledger.listCredentials('key'))[0] ?? { generations: [] }
    expect(generations.map((g) => g.knocks)).toEqual([1, 0])
  })

  test('at another node is of the same client: counted, and told an hour later as one sum', async () => {
    await given()
    await knocks('n1', [use(1, '10.1.2.3', 1)])
    await knocks('n2', [use(1, '10.1.2.3', 4)])
    await knocks('n1', [use(1, '10.1.2.3', 7)])
    expect(await entries()).toMatchObject([{ client: 'batch-jobs', requests: 1 }])
    await ago('1 hour')
    await knocks('n2', [use(1, '10.1.2.3', 4)])
    expect((await entries()).slice(1)).toMatchObject([{ requests: 10, total: 11, nodes: ['n1', 'n2'] }])
    await ago('1 hour')
    await knocks('n2', [use(1, '10.1.2.3', 4)])
    expect(await entries()).toHaveLength(2)
  })

  test('counts on where a gateway was restarted and begins anew', async () => {
    await given()
    for (const requests of [5, 2, 3]) await knocks('n1', [use(1, '10.1.2.3', requests)])
    expect((await who(1))?.knocks?.requests).toBe(8)
  })

  test('that an ended session tells of, or of a generation that lives or never was, is nothing', async () => {
    await given()
    const ended = sessions.n1 ?? 0
    sessions.n1 = (await ledger.fleet.openSession({ node: 'n1', boot: 'c', instance: 'i' })).session
    await knocks('n1', [use(1, '203.0.113.9', 1)], ended)
    await knocks('n1', [use(2, '203.0.113.9', 1), use(7, '203.0.113.9', 1)])
    await knocks('n1', [])
    expect(await entries()).toEqual([])
    expect((await who(1))?.knocks).toMatchObject({ requests: 0, from: [] })
    expect((await who(2))?.knocks).toBeNull()
  })

  test('by a flood of addresses writes no more entries and rows than the bound', async () => {
    await given()
    const flood = (from: number) =>
      Array.from({ length: 60 }, (_, n) => use(1, `198.51.100.${from + n}`, 1, 60 - n))
    await knocks('n1', flood(0))
    await knocks('n1', flood(60))
    await knocks('n2', flood(120))
    const told = await entries()
    expect(told).toHaveLength(21)
    expect(told.at(-1)).toMatchObject({ address: null, requests: 40, addresses: 40 })
    const { rows } = await database.query('select count(*)::int as n from knock')
    expect(rows[0].n).toBe(100)
    await ago('1 hour')
    await knocks('n2', flood(120))
    expect((await entries()).at(-1)).toMatchObject({ address: null, unlisted: true })
    expect((await entries()).length).toBeLessThanOrEqual(42)
  })

  test('of a node that does not watch is not known, and the answer says so', async () => {
    await given({})
    expect((await who(1))?.knocks).toMatchObject({ requests: 0, watchedBy: [], notWatchedBy: ['n1', 'n2'] })
  })

  test('has its credential and owner for the audit record', async () => {
    await given()
    await knocks('n1', [use(1, '203.0.113.9', 1)])
    const entry = (await ledger.unaudited(1_000)).find(({ type }) => type === 'DeadKeyUsed')
    expect(entry?.credential).toMatchObject({ name: 'key', owner: 'team', environment: 'prod' })
    expect(entry?.rotation).toBeUndefined()
  })
})

describe('use by client', () => {
  const used = (node: string, clients: ClientUse[], session?: number) =>
    ledger.fleet.recordClients([report(node, { clients }, session)])

  test('is shown by name, the latest first, and who is not declared as nobody', async () => {
    await given()
    await used('n1', [use(2, '10.1.2.3', 40, 5_000), use(2, '203.0.113.9', 1, 10)])
    await used('n2', [use(2, '127.0.0.1', 3, 9_000)])
    expect((await who(2))?.clients).toMatchObject({
      declared: ['batch-jobs'],
      seen: [
        { address: '203.0.113.9', client: null, node: 'n1', requests: 1 },
        { address: '10.1.2.3', client: 'batch-jobs', node: 'n1', requests: 40 },
        { address: '127.0.0.1', client: 'the node itself', node: 'n2', requests: 3 },
      ],
    })
  })

  test('counts on after a restart of the gateway, keeps the last use, and takes no repeat twice', async () => {
    await given()
    await used('n1', [use(2, '10.1.2.3', 40, 0)])
    const before = (await who(2))?.clients.seen[0]?.lastUsedAt
    await used('n1', [use(2, '10.1.2.3', 40, 60_000)])
    await used('n1', [use(2, '10.1.2.3', 2, 60_000), use(2, '10.1.2.3', 2, 60_000)])
    expect((await who(2))?.clients.seen).toMatchObject([{ requests: 42, lastUsedAt: before }])
  })

  test('of a dead generation is no use; what an ended session says comes too late', async () => {
    await given()
    await used('n1', [use(1, '10.1.2.3', 1)])
    await used('n1', [use(2, '10.1.2.3', 1)], 0)
    expect((await who(1))?.clients.seen).toEqual([])
    expect((await who(2))?.clients.seen).toEqual([])
  })

  test('keeps fifty addresses of a generation on a node, those that used it last', async () => {
    await given()
    const many = (from: number) =>
      Array.from({ length: 50 }, (_, n) => use(2, `198.51.100.${from + n}`, 1, 10_000 - from - n))
    await used('n1', many(0))
    await used('n1', many(50))
    const { rows } = await database.query('select address from client_use')
    expect(rows).toHaveLength(50)
    expect(rows.map((row) => row.address)).toContain('198.51.100.99')
    expect(rows.map((row) => row.address)).not.toContain('198.51.100.49')
  })
})
