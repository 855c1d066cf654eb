import { Document } from '@rekey/contracts'
import { type Asked, FORMAT } from '@rekey/core'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { ScriptedWorkers } from './fixtures/scripted-workers.ts'
import { type Ledger, migrate, openLedger } from './index.ts'

/**
 * A rolling upgrade: a newer release works on a rotation, and processes of this one are still there. The newer release
 * is this one with a higher format.
 */
let ours: Ledger
let newer: Ledger
let database: pg.Client

const documents = [
  {
    apiVersion: 'rekey.dev/v1',
    kind: 'Workload',
    metadata: { name: 'chat' },
    spec: { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team', zone: 'a' },
  },
  {
    apiVersion: 'rekey.dev/v1',
    kind: 'Credential',
    metadata: { name: 'key' },
    spec: {
      workload: 'chat',
      purpose: 'api',
      direction: 'inbound',
      authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
      stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/b' }],
      rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0, waveDeadlineMs: 60_000, evidenceMs: 60_000 },
    },
  },
].map((document) => Document.parse(document))

const cause = { kind: 'order', actor: 'me', reason: 'r' } as const
const asked: Asked = { cause, mode: 'rotate', goal: 'replace', compromised: [] }

beforeEach(async () => {
  const url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `newer_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ours = openLedger({ url, name: 'ours' })
  newer = openLedger({ url, name: 'newer', format: FORMAT + 1 })
  database = new pg.Client({ connectionString: url })
  await database.connect()
  await ours.configure(documents, { apply: true, actor: 'test' })
  const { token } = await ours.createJoinToken({ node: 'n1', workload: 'chat', ttlMs: 60_000, actor: 'test' })
  await ours.fleet.redeemJoinToken('n1', token)
  await ours.fleet.openSession({ node: 'n1', boot: 'b', instance: 'i' })
  await ours.fireTimers('test')
})
afterEach(async () => {
  await Promise.all([ours.close(), newer.close(), database.end()])
})

const EFFECT = 'key-g1.stage.vault-g1'

/** The newer release has stored it in its own way. */
async function becomesNewer(): Promise<void> {
  await database.query('update rotation set state = jsonb_set(state, array[$1], $2)', [
    'format',
    String(FORMAT + 1),
  ])
}

/** Everything that a decision would write. */
async function written(): Promise<unknown> {
  const { rows } = await database.query(
    `select (select jsonb_agg(r order by id) from rotation r) as rotations,
            (select jsonb_agg(e order by key) from effect e) as effects,
            (select jsonb_agg(g order by generation) from generation g) as generations,
            (select max(position) from journal) as journal`,
  )
  return rows[0]
}

const NEWER = { code: 'newer_release', retryable: true }

describe('a rotation that a newer release works on', () => {
  test('is not changed by us, whatever reaches us', async () => {
    await becomesNewer()
    await database.query("update effect set due = now() where kind = 'timer'")
    const before = await written()
    for (const reaches of [
      () => ours.submit('key-g1', { type: 'RollbackAsked', actor: 'me', reason: 'r' }, 'me'),
      () => ours.submit('key-g1', { type: 'TimerFired', timer: { name: 'settled' } }, 'conductor'),
      () => ours.start('key', asked),
      () => ours.lease(EFFECT, 'rotator', 1_000),
    ])
      await expect(reaches()).rejects.toMatchObject(NEWER)
    expect(await ours.fireTimers('conductor')).toBe(0)
    expect((await ours.unattended({ worker: 'rotator', graceMs: 0, limit: 10 })).keys).toEqual([])
    expect(await written()).toEqual(before)
  })

  test('is finished by the newer release, which finds the effect as it was', async () => {
    await becomesNewer()
    await expect(ours.lease(EFFECT, 'rotator', 1_000)).rejects.toMatchObject(NEWER)
    expect((await newer.unattended({ worker: 'rotator', graceMs: 0, limit: 10 })).keys).toEqual([EFFECT])
    expect(await new ScriptedWorkers(newer).untilEnded('key', 'key-g1')).toBe('closed')
    const { rows } = await database.query('select attempt, failures, state from effect where key = $1', [
      EFFECT,
    ])
    expect(rows[0]).toEqual({ attempt: 1, failures: 0, state: 'done' })
  })

  test('is not told what one of our workers did meanwhile; the newer one does it again', async () => {
    const leased = await ours.lease(EFFECT, 'rotator', 60_000)
    if (!leased) throw new Error('no lease')
    await becomesNewer()
    const before = await written()
    const result = { kind: 'stage', storeVersion: 'v1', keyId: 'key.g1', proofKey: null } as const
    await expect(ours.complete(leased, result, 'rotator')).rejects.toMatchObject(NEWER)
    expect(await written()).toEqual(before)
    await database.query("update effect set lease_until = now() where kind = 'stage'")
    expect((await newer.lease(EFFECT, 'newer', 60_000))?.attempt).toBe(2)
  })

  test('is served to nodes, and their proofs are kept for the newer release', async () => {
    await ours.fleet.openSession({ node: 'n1', boot: 'b', instance: 'i' })
    const workers = new ScriptedWorkers(ours)
    await workers.untilEnded('key', 'key-g1')
    const { rotation } = await ours.start('key', asked)
    await ours.fireTimers('conductor')
    const stage = await ours.lease(`${rotation}.stage.vault-g2`, 'rotator', 1_000)
    if (!stage) throw new Error('no lease')
    await ours.complete(
      stage,
      { kind: 'stage', storeVersion: 'v2', keyId: 'key.g2', proofKey: null },
      'rotator',
    )
    expect((await ours.showRotation(rotation)).phase).toBe('Rolling')
    await becomesNewer()

    const [desired] = (await ours.fleet.desiredStates(['n1'])).get('n1') ?? []
    expect(desired?.accept.map((a) => a.generation)).toEqual([1, 2])
    const { session, desired: opened } = await ours.fleet.openSession({
      node: 'n1',
      boot: 'c',
      instance: 'i',
    })
    expect(opened).toEqual([desired])
    const about = { node: 'n1', session, credential: 'key', revision: desired?.revision ?? 0 }
    await ours.fleet.recordAcks([{ ...about, proved: [1, 2], refusals: [] }])
    await ours.loseSilent(-1)
    await ours.fleet.closeSession('n1', session)
    const shown = await ours.showRotation(rotation)
    expect(shown).toMatchObject({ id: rotation, phase: 'NewerRelease', outcome: null })
    expect(shown.nodes[0]?.proved).toEqual([1, 2])
    expect((await ours.listRotations({})).map((r) => r.phase)).toEqual(['NewerRelease', 'NewerRelease'])
    // A node that says no is heard too, and nobody but the newer release draws the conclusion.
    await ours.fleet.recordNacks([
      { type: 'nack', ...about, generation: 2, reason: 'value_refused', detail: '401' },
    ])
    expect((await newer.showRotation(rotation)).phase).toBe('Rolling')
    expect(
      await new ScriptedWorkers(newer, Object.fromEntries(workers.shown)).untilEnded('key', rotation),
    ).toBe('closed')
  })
})
