import { type Document, Document as DocumentSchema, RekeyError } from '@rekey/contracts'
import { type Asked, type EffectResult, evolveAll, type RotationEvent } from '@rekey/core'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Leased, type Ledger, migrate, openLedger } from './index.ts'

/** A credential with two stores and two nodes, whose workers are this test. */
const DOCUMENTS: unknown[] = [
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
      stores: [
        { name: 'vault', kind: 'vault-kv', path: 'a/b' },
        { name: 'aws', kind: 'aws-secrets-manager', region: 'eu-central-1', secretId: 'a/b' },
      ],
      rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0, waveDeadlineMs: 60_000, evidenceMs: 60_000 },
    },
  },
  {
    apiVersion: 'rekey.dev/v1',
    kind: 'Rule',
    metadata: { name: 'zone' },
    spec: { when: { change: ['zonechanged'] }, rotate: ['key'] },
  },
]

const order: Asked = {
  cause: { kind: 'order', actor: 'me', reason: 'r' },
  mode: 'rotate',
  goal: 'replace',
  compromised: [],
}

let ledger: Ledger
let url: string
const acknowledged = new Set<string>()

beforeEach(async () => {
  url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `ledger_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  acknowledged.clear()
})
afterEach(() => ledger.close())

const documents = (rollout = {}): Document[] => {
  const all = DOCUMENTS.map((d) => DocumentSchema.parse(d))
  for (const document of all)
    if (document.kind === 'Credential') Object.assign(document.spec.rollout, rollout)
  return all
}
const configure = (rollout = {}) => ledger.configure(documents(rollout), { apply: true, actor: 'test' })
const change = (id: string, zone: string, digest = zone) =>
  ledger.receive({
    source: 's',
    id,
    digest,
    emitter: 'demo',
    change: { type: 'zonechanged', workload: 'chat', facts: { zone } },
  })

test('nodes are told in which namespace a value is', async () => {
  const [chat, key] = DOCUMENTS.map((document) => structuredClone(document)) as [
    unknown,
    { spec: { stores: object[] } },
  ]
  key.spec.stores = [{ name: 'vault', kind: 'vault-kv', path: 'a/b', namespace: 'team/a' }]
  const place = { mount: 'secret', path: 'a/b', namespace: 'team/a' }
  await ledger.configure(
    [chat, key].map((document) => DocumentSchema.parse(document)),
    {
      apply: true,
      actor: 'test',
    },
  )
  const { token } = await ledger.createJoinToken({
    node: 'n1',
    workload: 'chat',
    ttlMs: 60_000,
    actor: 'test',
  })
  expect(await ledger.fleet.redeemJoinToken('n1', token)).toMatchObject({
    credentials: [{ credential: 'key', ...place }],
  })
  expect((await ledger.fleet.desiredStates(['n1'])).get('n1')).toMatchObject([{ store: place }])
})

async function join(node: string): Promise<number> {
  const { token } = await ledger.createJoinToken({ node, workload: 'chat', ttlMs: 60_000, actor: 'test' })
  expect(await ledger.fleet.redeemJoinToken(node, token)).toMatchObject({ node, workload: 'chat' })
  return (await ledger.fleet.openSession({ node, boot: 'b', instance: 'i' })).session
}

/** What a worker would report. */
function resultOf({ effect }: Leased): EffectResult {
  switch (effect.kind) {
    case 'stage':
      return { kind: 'stage', storeVersion: 'staging', keyId: `key.g${effect.generation}`, proofKey: 'pub' }
    case 'promote':
    case 'restore':
      return { kind: effect.kind, storeVersion: `v${effect.generation}` }
    case 'probe': {
      const verdict = effect.purpose === 'baseline' ? 'accepted' : 'refused'
      return { kind: 'probe', results: [{ endpoint: 'gw', verdict, seen: '', control: 'accepted' }] }
    }
    case 'destroy':
      return { kind: 'destroy' }
    default:
      return { kind: 'deliver' }
  }
}

/** Every worker, the fleet, and the audit topic, once. */
async function turn(sessions: Record<string, number>): Promise<void> {
  await ledger.fireTimers('test')
  for (const waiting of await ledger.takeWaiting(0)) {
    const leased = await ledger.lease(waiting.key, 'w', 5_000)
    if (leased) await ledger.complete(leased, resultOf(leased), 'w')
  }
  const desired = await ledger.fleet.desiredStates(Object.keys(sessions))
  await ledger.fleet.recordAcks(
    [...desired].flatMap(([node, states]) =>
      states.map((s) => ({
        node,
        session: sessions[node] ?? 0,
        credential: s.credential,
        revision: s.revision,
        proved: s.accept.map((a) => a.generation),
        refusals: [],
      })),
    ),
  )
  await ledger.fleet.recordUsage(
    Object.entries(sessions).map(([node, session]) => ({
      type: 'usage',
      node,
      session,
      credential: 'key',
      generations: [],
    })),
  )
  for (const { id } of await ledger.listRotations({})) {
    const entries = await ledger.journal({ stream: `rotation/${id}` })
    for (const entry of entries.filter((e) => e.type === 'RevocationAnnounced')) {
      if (acknowledged.has(id)) continue
      acknowledged.add(id)
      await ledger.submit(
        id,
        { type: 'AuditAcknowledged', generation: Number(entry.data.generation) },
        'auditor',
      )
    }
  }
}

async function untilClosed(id: string, sessions: Record<string, number>): Promise<void> {
  for (let i = 0; i < 60; i++) {
    if ((await ledger.showRotation(id)).outcome) return
    await turn(sessions)
  }
  throw new Error(`${id} did not close: ${JSON.stringify(await ledger.showRotation(id), null, 1)}`)
}

describe('a rotation in the ledger', () => {
  test('goes from the first value over a change to a dead old generation', async () => {
    const created = await configure()
    const sessions = { n1: await join('n1'), n2: await join('n2') }
    const first = created.find((c) => c.kind === 'Credential')?.rotation ?? ''
    expect(first).toBe('key-g1')
    await untilClosed(first, sessions)
    const verdict = await change('e1', 'b')
    expect(verdict).toMatchObject({
      verdict: 'rotation-opened',
      rotations: [{ rotation: 'key-g2', rule: 'zone' }],
    })
    await untilClosed('key-g2', sessions)
    const [credential] = await ledger.listCredentials('key')
    expect(credential).toMatchObject({ currentGeneration: 2, openRotation: null })
    expect(credential?.generations).toMatchObject([
      { generation: 1, label: null, validity: 'destroyed' },
      { generation: 2, label: 'current', validity: 'active', storeVersions: { vault: 'v2', aws: 'v2' } },
    ])
    const placements = (await ledger.showRotation('key-g2')).nodes
    expect(placements.map((n) => n.accept)).toEqual([[2], [2]])
  })

  test('is what its journal says: folding the events gives the stored state', async () => {
    await configure()
    await untilClosed('key-g1', { n1: await join('n1') })
    const events = (await ledger.journal({ stream: 'rotation/key-g1' })).map((e) => ({
      type: e.type,
      ...e.data,
    }))
    const folded = evolveAll(undefined, events as unknown as RotationEvent[])
    const shown = await ledger.showRotation('key-g1')
    expect(folded).toMatchObject({ id: 'key-g1', outcome: shown.outcome, confirmRevision: 2 })
  })

  test('joins a cause before the value is made, and notes one follow-up after', async () => {
    await configure()
    const sessions = { n1: await join('n1') }
    await untilClosed('key-g1', sessions)
    expect((await change('e1', 'b')).verdict).toBe('rotation-opened')
    expect((await change('e2', 'c')).verdict).toBe('joined')
    await turn(sessions)
    expect((await change('e3', 'd')).verdict).toBe('queued')
    expect((await change('e4', 'e')).verdict).toBe('queued')
    await untilClosed('key-g2', sessions)
    await untilClosed('key-g3', sessions)
    expect((await ledger.listRotations({})).map((r) => r.id)).toEqual(['key-g3', 'key-g2', 'key-g1'])
  })
})

describe('an event', () => {
  test('that comes many times at once makes one rotation', async () => {
    await configure()
    const verdicts = await Promise.all(Array.from({ length: 200 }, () => change('e1', 'b')))
    const count = (v: string) => verdicts.filter((x) => x.verdict === v).length
    // The first value's rotation is still settling, so the change joins it.
    expect([count('joined'), count('duplicate')]).toEqual([1, 199])
  })

  test('with a known id and other content is refused', async () => {
    await configure()
    await change('e1', 'b', 'digest-1')
    expect((await change('e1', 'c', 'digest-2')).verdict).toBe('conflict')
    expect((await ledger.verdict('s', 'e1'))?.verdict).toBe('joined')
  })

  test('that changes nothing, or whose workload is unknown, opens nothing', async () => {
    await configure()
    expect((await change('e1', 'a')).verdict).toBe('no-change')
    const stranger = await ledger.receive({
      source: 's',
      id: 'e2',
      digest: 'd',
      emitter: 'demo',
      change: { type: 'zonechanged', workload: 'nobody', facts: { zone: 'x' } },
    })
    expect(stranger).toMatchObject({ verdict: 'unknown-workload', rotations: [] })
  })
})

describe('an effect', () => {
  async function stageEffect(): Promise<string> {
    await configure()
    await ledger.fireTimers('test')
    return 'key-g1.stage.vault-g1'
  }

  test('is leased by one worker at a time, and comes back after the lease', async () => {
    const key = await stageEffect()
    const first = await ledger.lease(key, 'a', 80)
    expect(first?.attempt).toBe(1)
    expect(await ledger.lease(key, 'b', 80)).toBeUndefined()
    const again = await untilDefined(() => ledger.lease(key, 'b', 5_000))
    expect(again.attempt).toBe(2)
  })

  test('keeps a late outcome as evidence, and decides nothing by it', async () => {
    const key = await stageEffect()
    const late = await ledger.lease(key, 'a', 50)
    const now = await untilDefined(() => ledger.lease(key, 'b', 5_000))
    if (!late) throw new Error('no lease')
    expect(await ledger.complete(late, resultOf(late), 'a')).toBe('late')
    expect((await ledger.showRotation('key-g1')).phase).toBe('Staging')
    expect(await ledger.complete(now, resultOf(now), 'b')).toBe('recorded')
    expect(await ledger.complete(now, resultOf(now), 'b')).toBe('late')
  })

  test('that fails for good holds the rotation until somebody resumes', async () => {
    const key = await stageEffect()
    const leased = await ledger.lease(key, 'a', 5_000)
    if (!leased) throw new Error('no lease')
    await ledger.fail(leased, new RekeyError('permission_denied', 'may not write'), 'a')
    expect((await ledger.showRotation('key-g1')).hold).toMatchObject({ reason: 'effect_failed', about: key })
    expect(await ledger.lease(key, 'a', 5_000)).toBeUndefined()
    await ledger.submit('key-g1', { type: 'ResumeAsked', actor: 'me', reason: 'fixed' }, 'me')
    expect((await ledger.showRotation('key-g1')).hold).toBeNull()
    expect((await ledger.lease(key, 'a', 5_000))?.attempt).toBe(2)
  })

  test('on a store waits until an effect of the abandoned plan can act no more', async () => {
    const key = await stageEffect()
    const paused = await ledger.lease(key, 'a', 400)
    expect(paused).toBeDefined()
    await ledger.submit('key-g1', { type: 'RollbackAsked', actor: 'me', reason: 'no' }, 'me')
    const destroy = 'key-g1.destroy.vault-g1'
    expect(await ledger.lease(destroy, 'b', 5_000)).toBeUndefined()
    const leased = await untilDefined(() => ledger.lease(destroy, 'b', 5_000))
    if (paused) expect(await ledger.complete(paused, resultOf(paused), 'a')).toBe('late')
    expect(leased.effect.kind).toBe('destroy')
  })
})

describe('a node', () => {
  test('joins with a token once, only under its own name', async () => {
    await configure()
    const { token } = await ledger.createJoinToken({
      node: 'n1',
      workload: 'chat',
      ttlMs: 60_000,
      actor: 't',
    })
    expect(await ledger.fleet.redeemJoinToken('n2', token)).toBeUndefined()
    expect(await ledger.fleet.redeemJoinToken('n1', token)).toBeDefined()
    expect(await ledger.fleet.redeemJoinToken('n1', token)).toBeUndefined()
  })

  test('must prove again in a new session; an older session is not heard', async () => {
    await configure()
    const session = await join('n1')
    const ack = { node: 'n1', credential: 'key', revision: 0, proved: [1], refusals: [] }
    await ledger.fleet.recordAcks([{ ...ack, session }])
    const proved = async () => (await ledger.showRotation('key-g1')).nodes[0]?.proved
    expect(await proved()).toEqual([1])
    const { session: next } = await ledger.fleet.openSession({ node: 'n1', boot: 'c', instance: 'i' })
    expect(next).toBe(session + 1)
    expect(await proved()).toEqual([])
    await ledger.fleet.recordAcks([{ ...ack, session }])
    expect(await proved()).toEqual([])
  })

  test('never loses the last use of a key when its gateway restarts and forgets', async () => {
    await configure()
    const session = await join('n1')
    const report = (lastUseAgeMs: number | null) =>
      ledger.fleet.recordUsage([
        {
          type: 'usage',
          node: 'n1',
          session,
          credential: 'key',
          generations: [{ generation: 1, inFlight: 0, lastUseAgeMs, requests: 1 }],
        },
      ])
    await report(10)
    const used = async () => (await ledger.showRotation('key-g1')).nodes[0]?.usage[0]?.lastUsedAt
    const before = await used()
    expect(before).toBeTypeOf('number')
    await report(null)
    expect(await used()).toBe(before)
  })
})

describe('what nodes say of themselves', () => {
  test('is theirs alone where many connect at once, and each session of one has its own number', async () => {
    await configure()
    const names = Array.from({ length: 20 }, (_, n) => `n${n + 1}`)
    for (const node of names) await join(node)
    const open = (node: string, label = node) => {
      const adapters = [{ credential: 'key', kind: label, disruption: 'A' as const }]
      return ledger.fleet.openSession({ node, boot: 'b', instance: 'i', labels: { label }, adapters })
    }
    const opened = await Promise.allSettled([
      ...names.map((node) => open(node)),
      open('stranger'),
      open('n1', 'again'),
    ])
    const failed = opened.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []))
    expect(failed).toEqual(['RekeyError: node stranger is not enrolled, or was declared gone'])
    const [first, again] = [opened[0], opened.at(-1)].map((one) =>
      one?.status === 'fulfilled' ? one.value : undefined,
    )
    expect(again?.session).toBe((first?.session ?? 0) + 1)
    expect(first?.desired).toMatchObject([{ credential: 'key' }])
    await ledger.fleet.readsAllowed('n1', 'secret/a')
    expect((await open('n1', 'again')).reads).toBe('secret/a')
    expect((await open('n2')).reads).toBeNull()
    // With another identity comes another policy.
    await join('n1')
    expect((await open('n1', 'again')).reads).toBeNull()
    const { nodes } = await ledger.showRotation('key-g1')
    expect(nodes.map(({ node, labels, adapter }) => [node, labels.label, adapter?.kind])).toEqual(
      names.toSorted().map((node) => (node === 'n1' ? [node, 'again', 'again'] : [node, node, node])),
    )
  })

  test('decides who comes first, and how long a drain takes', async () => {
    await configure({ waves: [{ ofEach: 'version', nodes: 1 }] })
    for (const [node, version, cacheMs] of [
      ['n1', 'a', 1],
      ['n2', 'a', 90_000],
      ['n3', 'b', 5],
    ] as const) {
      await join(node)
      const adapters = [{ credential: 'key', kind: 'file', disruption: 'B' as const, cacheMs }]
      await ledger.fleet.openSession({ node, boot: 'b', instance: 'i', labels: { version }, adapters })
    }
    await staged()
    const [first] = (await ledger.showRotation('key-g1')).waves
    expect(first?.nodes).toEqual(['n1', 'n3'])
    expect((await ledger.showRotation('key-g1')).drain[0]).toEqual({ ms: 90_000, why: 'n2 may hold it' })
  })

  test('keeps what would be disturbed too much from being rotated', async () => {
    await configure({ maxDisruption: 'B' })
    for (const [node, disruption] of [
      ['n1', 'B'],
      ['n2', 'C'],
    ] as const) {
      await join(node)
      const adapters = [{ credential: 'key', kind: 'file', disruption }]
      await ledger.fleet.openSession({ node, boot: 'b', instance: 'i', labels: {}, adapters })
    }
    await ledger.fireTimers('test')
    const { phase, holds } = await ledger.showRotation('key-g1')
    expect(phase).toBe('Planned')
    expect(holds).toMatchObject([
      { reason: 'disruptive', detail: 'a change would disturb more than class B: n2 (C)' },
    ])
  })

  test('counts for less the older it is, and not where counting has just begun', async () => {
    await configure()
    const session = await join('n1')
    const report = (requests: number, failures: number) =>
      ledger.fleet.recordUsage([
        {
          type: 'usage',
          node: 'n1',
          session,
          credential: 'key',
          generations: [{ generation: 1, inFlight: 0, lastUseAgeMs: 0, requests, failures }],
        },
      ])
    const recent = async () => (await ledger.showRotation('key-g1')).nodes[0]?.usage[0]?.recent
    await report(1_000, 900)
    expect(await recent()).toEqual({ requests: 0, failures: 0 })
    await report(1_100, 910)
    expect(await recent()).toEqual({ requests: 100, failures: 10 })
    // Half a minute later.
    const database = new pg.Client({ connectionString: url })
    await database.connect()
    await database.query("update placement set reported_at = reported_at - interval '30 seconds'")
    await database.end()
    await report(1_100, 910)
    const { requests = 0, failures = 0 } = (await recent()) ?? {}
    expect([Math.round(requests), Math.round(failures)]).toEqual([37, 4])
    // The software's counters have begun anew.
    await report(5, 5)
    expect((await recent())?.requests).toBeLessThan(38)
    await report(6, 6)
    expect(((await recent())?.requests ?? 0) - requests).toBeCloseTo(1, 0)
  })
})

test('what many nodes say of a trouble that passes is journalled of some, and what ends an attempt of any', async () => {
  await configure({ waves: ['100%'] })
  const sessions = new Map<string, number>()
  for (let at = 1; at <= 24; at++) sessions.set(`n${at}`, await join(`n${at}`))
  await staged()
  const [wave] = (await ledger.showRotation('key-g1')).waves
  expect(wave?.nodes).toHaveLength(24)
  const nack = (node: string, reason: 'store_unreachable' | 'value_refused') => ({
    type: 'nack' as const,
    node,
    credential: 'key',
    revision: 1,
    session: sessions.get(node) ?? 0,
    generation: 1,
    reason,
    detail: 'so it is',
  })
  const journalled = async () =>
    (await ledger.journal({ stream: 'rotation/key-g1' })).filter(({ type }) => type === 'NodeNacked').length
  const all = [...sessions.keys()].map((node) => nack(node, 'store_unreachable'))
  await ledger.fleet.recordNacks(all)
  await ledger.fleet.recordNacks([...all, ...all])
  expect(await journalled()).toBe(20)
  const { nodes } = await ledger.showRotation('key-g1')
  expect(nodes.filter((node) => node.nack?.reason === 'store_unreachable')).toHaveLength(24)
  await ledger.fleet.recordNacks([nack('n24', 'value_refused')])
  const types = (await ledger.journal({ stream: 'rotation/key-g1' })).map(({ type }) => type)
  expect(types).toContain('SuccessorAbandoned')
})

/** The first value is in both stores. */
async function staged(): Promise<void> {
  await ledger.fireTimers('test')
  for (const _store of ['vault', 'aws']) {
    const [next] = await ledger.takeWaiting(0)
    const leased = next && (await ledger.lease(next.key, 'w', 5_000))
    if (leased) await ledger.complete(leased, resultOf(leased), 'w')
  }
}

describe('a node that is silent or gone', () => {
  test("is named by an emergency's delivery until that is handed over, and by no routine one", async () => {
    await configure()
    const sessions = { n1: await join('n1') }
    while (!(await ledger.showRotation('key-g1')).outcome) {
      expect(await ledger.fleet.urgent()).toEqual([])
      await turn(sessions)
    }
    await ledger.start('key', { ...order, mode: 'contain' })
    const [urgent] = await ledger.fleet.urgent()
    expect(urgent).toMatchObject({ nodes: ['n1'] })
    const leased = await ledger.lease(urgent?.effect ?? '', 'w', 5_000)
    if (!leased) throw new Error('not leased')
    expect(await ledger.fleet.urgent()).toEqual([urgent])
    await ledger.complete(leased, { kind: 'deliver' }, 'w')
    expect(await ledger.fleet.urgent()).toEqual([])
  })

  test('counts again as soon as it is heard in its session', async () => {
    await configure()
    const session = await join('n1')
    await ledger.loseSilent(-1)
    expect((await ledger.listNodes())[0]?.state).toBe('lost')
    await ledger.fleet.heard([{ node: 'n1', session: session - 1 }])
    expect((await ledger.listNodes())[0]?.state).toBe('lost')
    await ledger.fleet.heard([{ node: 'n1', session }])
    expect((await ledger.listNodes())[0]?.state).toBe('live')
  })

  test('loses its identity once it is declared gone, and may join again', async () => {
    await configure()
    await join('n1')
    await ledger.declareGone('n1', 'me', 'scrapped')
    expect(await ledger.fleet.goneNodes()).toEqual(['n1'])
    await ledger.fleet.identityEnded('n1')
    expect(await ledger.fleet.goneNodes()).toEqual([])
    await expect(ledger.fleet.openSession({ node: 'n1', boot: 'b', instance: 'i' })).rejects.toThrow(/gone/)
    await join('n1')
    expect((await ledger.listNodes())[0]?.state).toBe('live')
  })

  test('leaves a rotation waiting if it was the last one: nobody is left who could refuse the old value', async () => {
    await configure()
    const sessions = { n1: await join('n1') }
    await untilClosed('key-g1', sessions)
    await change('e1', 'b')
    await ledger.declareGone('n1', 'me', 'scrapped')
    for (let i = 0; i < 20; i++) await turn({})
    const shown = await ledger.showRotation('key-g2')
    expect(shown.phase).toBe('Draining')
    expect(shown.waitsFor).toContain('there is no node that could refuse it')
    const { refusal } = await ledger.submit(
      'key-g2',
      { type: 'RollbackAsked', actor: 'me', reason: 'r' },
      'me',
    )
    expect(refusal).toBeUndefined()
  })
})

describe('the ledger', () => {
  test('keeps positions without a gap while conflicting events race', async () => {
    await configure()
    await change('e1', 'b', 'digest-0')
    const verdicts = await Promise.all(
      Array.from({ length: 60 }, (_, n) => change('e1', 'c', `digest-${n + 1}`)),
    )
    expect(new Set(verdicts.map((v) => v.verdict))).toEqual(new Set(['conflict']))
    const positions = (await ledger.journal({})).map((e) => e.position)
    expect(positions).toEqual(positions.map((_, index) => index + 1))
  })

  test('outlives a database that drops its connections in mid-transaction', async () => {
    await configure()
    const admin = new pg.Client({ connectionString: url })
    await admin.connect()
    // Whoever wants the credential's lock waits in a transaction, and is thrown out there.
    await admin.query('begin')
    await admin.query("select from credential where name = 'key' for update")
    const waiting = ledger.start('key', order).catch((error: Error) => error)
    await expect
      .poll(async () => {
        const { rows } = await admin.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test' and wait_event_type = 'Lock' and datname = current_database()",
        )
        return rows.length
      })
      .toBeGreaterThan(0)
    expect(await waiting).toBeInstanceOf(Error)
    await admin.query('rollback')
    await admin.end()
    expect(await ledger.start('key', order)).toMatchObject({
      how: 'joined',
    })
  })
})

describe('a node of another workload', () => {
  test('cannot join before it is declared gone, and then belongs to the new one alone', async () => {
    await configure()
    const other = DocumentSchema.parse({
      apiVersion: 'rekey.dev/v1',
      kind: 'Workload',
      metadata: { name: 'other' },
      spec: { spiffeId: 'spiffe://example.org/other', environment: 'prod', owner: 'team' },
    })
    await ledger.configure([other], { apply: true, actor: 't' })
    await join('n1')
    const request = { node: 'n1', workload: 'other', ttlMs: 60_000, actor: 't' }
    await expect(ledger.createJoinToken(request)).rejects.toThrow(/serves chat; declare it gone first/)
    await ledger.declareGone('n1', 'me', 'moved')
    const { token } = await ledger.createJoinToken(request)
    expect(await ledger.fleet.redeemJoinToken('n1', token)).toMatchObject({
      workload: 'other',
      credentials: [],
    })
    expect((await ledger.showRotation('key-g1')).nodes).toEqual([])
  })
})

describe('configuration', () => {
  test('names every fault and writes nothing', async () => {
    const [workload, credential] = documents()
    const rule = DocumentSchema.parse({
      apiVersion: 'rekey.dev/v1',
      kind: 'Rule',
      metadata: { name: 'r' },
      spec: { when: { change: ['zonechanged'], workload: 'nobody' }, rotate: ['key', 'missing'] },
    })
    if (!workload || !credential) throw new Error('documents')
    const wrong = ledger.configure([workload, credential, credential, rule], { apply: true, actor: 't' })
    await expect(wrong).rejects.toThrow(
      /Credential key is given twice.*unknown credential missing.*unknown workload nobody/,
    )
    expect(await ledger.listCredentials()).toEqual([])
  })

  test('does not move a live credential to other stores', async () => {
    await configure()
    const moved = documents()
    for (const d of moved) if (d.kind === 'Credential') d.spec.stores = d.spec.stores.slice(0, 1)
    await expect(ledger.configure(moved, { apply: true, actor: 't' })).rejects.toThrow(
      /spec.stores cannot be changed/,
    )
    const same = await ledger.configure(documents(), { apply: false, actor: 't' })
    expect(same.map((c) => c.action)).toEqual(['unchanged', 'unchanged', 'unchanged'])
  })
})

/** Asks until there is an answer: a lease ends on the database's clock, which announces nothing. */
async function untilDefined<T>(ask: () => Promise<T | undefined>): Promise<T> {
  let answer: T | undefined
  await expect.poll(async () => (answer = await ask()), { timeout: 5_000, interval: 20 }).toBeDefined()
  return answer as T
}
