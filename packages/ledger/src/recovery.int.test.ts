import { Document } from '@rekey/contracts'
import type { Asked, EffectResult, Found } from '@rekey/core'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Leased, type Ledger, migrate, openLedger } from './index.ts'

/** One credential in one store, on two nodes. What is outside outlives the ledger: that is what these tests are about. */
const DOCUMENTS = [
  {
    kind: 'Workload',
    metadata: { name: 'chat' },
    spec: { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team', zone: 'a' },
  },
  {
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
  {
    kind: 'Rule',
    metadata: { name: 'zone' },
    spec: { when: { change: ['zonechanged'] }, rotate: ['key'] },
  },
].map((d) => Document.parse({ apiVersion: 'rekey.dev/v1', ...d }))

const order: Asked = {
  cause: { kind: 'order', actor: 'operator/ana', reason: 'routine' },
  mode: 'rotate',
  goal: 'replace',
  compromised: [],
}
const recovered = { actor: 'operator/ana', reason: 'the disk died' }
const release = { actor: 'operator/ana' }

let ledger: Ledger
let name: string
let copies: string[]
/** The world outside. */
let store: { current: number | null; held: Set<number>; versions: number }
let nodes: Map<string, { session: number; revision: number; accept: number[] }>
let dead: Set<number>
let acknowledged: Set<string>

const urlOf = (database: string) => {
  const url = new URL(inject('stack').postgresUrl)
  url.pathname = `/${database}`
  return url.href
}
async function maintain(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf('postgres') })
  await client.connect()
  await client.query(sql).finally(() => client.end())
}

beforeEach(async () => {
  name = `recovery_${crypto.randomUUID().replaceAll('-', '')}`
  copies = [name]
  await migrate(await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, name))
  ledger = openLedger({ url: urlOf(name), name: 'test' })
  store = { current: null, held: new Set(), versions: 0 }
  nodes = new Map()
  dead = new Set()
  acknowledged = new Set()
  await ledger.configure(DOCUMENTS, { apply: true, actor: 'test' })
  for (const node of ['n1', 'n2']) {
    const { token } = await ledger.createJoinToken({ node, workload: 'chat', ttlMs: 60_000, actor: 'test' })
    await ledger.fleet.redeemJoinToken(node, token)
    nodes.set(node, { session: 0, revision: 0, accept: [] })
  }
  await connect()
  await untilRest('key-g1')
})
afterEach(async () => {
  await ledger.close()
  for (const copy of copies) await maintain(`drop database if exists ${copy} with (force)`)
})

/** A copy of the ledger as it is now; `restore` puts one in its place. */
async function backup(): Promise<string> {
  await ledger.close()
  const copy = `${name}_${copies.length}`
  copies.push(copy)
  await maintain(`create database ${copy} template ${name}`)
  ledger = openLedger({ url: urlOf(name), name: 'test' })
  return copy
}
async function restore(copy: string): Promise<void> {
  await ledger.close()
  await maintain(`drop database ${name} with (force)`)
  await maintain(`create database ${name} template ${copy}`)
  ledger = openLedger({ url: urlOf(name), name: 'test' })
}

async function connect(): Promise<void> {
  for (const [node, about] of nodes)
    about.session = (await ledger.fleet.openSession({ node, boot: 'b', instance: 'i' })).session
}

function act({ effect, shown }: Leased): EffectResult {
  switch (effect.kind) {
    case 'stage':
      if (dead.has(effect.generation)) throw new Error(`${effect.generation} is dead and was staged`)
      store.held.add(effect.generation)
      return { kind: 'stage', storeVersion: 's', keyId: `key.g${effect.generation}`, proofKey: 'pub' }
    case 'promote':
    case 'restore': {
      const shows = effect.kind === 'promote' ? effect.generation : effect.base
      if (dead.has(shows)) throw new Error(`${shows} is dead and was shown`)
      // As stores do: a promotion replaces what it expects, or nothing.
      if (effect.kind === 'promote' && store.current !== shows)
        expect(shown.vault).toBe(store.versions === 0 ? undefined : `v${store.versions}`)
      if (store.current !== shows) store.versions++
      store.current = shows
      return { kind: effect.kind, storeVersion: `v${store.versions}` }
    }
    case 'probe': {
      const results = [
        { endpoint: 'gw', verdict: says(effect.generation), seen: '', control: 'accepted' as const },
      ]
      return { kind: 'probe', results }
    }
    case 'destroy':
      dead.add(effect.generation)
      store.held.delete(effect.generation)
      return { kind: 'destroy' }
    default:
      return { kind: 'deliver' }
  }
}
const says = (generation: number) =>
  [...nodes.values()].every((n) => n.accept.includes(generation))
    ? ('accepted' as const)
    : ('refused' as const)

/** Every worker, the fleet and the audit topic, once. */
async function turn(): Promise<void> {
  await ledger.fireTimers('test')
  for (const waiting of await ledger.takeWaiting(0)) {
    const leased = await ledger.lease(waiting.key, 'w', 5_000)
    if (leased) await ledger.complete(leased, act(leased), 'w')
  }
  for (const [node, states] of await ledger.fleet.desiredStates([...nodes.keys()])) {
    const about = nodes.get(node)
    for (const state of states) {
      // As an agent does: what is older than what it took is ignored.
      if (!about || state.revision < about.revision) continue
      about.revision = state.revision
      about.accept = state.accept.map((a) => a.generation)
      for (const g of about.accept) if (dead.has(g)) throw new Error(`${g} is dead and was delivered`)
      const { credential, revision } = state
      const proof = { node, session: about.session, credential, revision, proved: about.accept, refusals: [] }
      await ledger.fleet.recordAcks([proof])
    }
  }
  const usage = [...nodes].map(([node, { session }]) => ({
    node,
    session,
    credential: 'key',
    generations: [],
  }))
  await ledger.fleet.recordUsage(usage.map((u) => ({ type: 'usage' as const, ...u })))
  for (const entry of await ledger.journal({})) {
    const said = `${entry.stream} ${entry.data.generation}`
    if (entry.type !== 'RevocationAnnounced' || acknowledged.has(said)) continue
    acknowledged.add(said)
    const input = { type: 'AuditAcknowledged', generation: Number(entry.data.generation) } as const
    await ledger.submit(entry.stream.slice('rotation/'.length), input, 'auditor')
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 60; i++) {
    if (await holds()) return
    await turn()
  }
  throw new Error(`${what} did not come: ${JSON.stringify(await ledger.listRotations({}), null, 1)}`)
}
const untilRest = (id: string) =>
  until(`the end of ${id}`, async () => (await ledger.showRotation(id)).outcome !== null)
const untilEntry = (id: string, type: string) =>
  until(type, async () => (await ledger.journal({ stream: `rotation/${id}` })).some((e) => e.type === type))

async function rotate(): Promise<string> {
  const { rotation } = await ledger.start('key', order)
  await untilRest(rotation)
  return rotation
}

function found(): Found {
  const held = [...new Set([...store.held, ...(store.current === null ? [] : [store.current])])].sort()
  return {
    stores: [
      {
        store: 'vault',
        current: store.current,
        storeVersion: store.versions === 0 ? null : `v${store.versions}`,
      },
    ],
    generations: held.map((generation) => ({
      generation,
      keyId: `key.g${generation}`,
      proofKey: 'pub',
      stores: ['vault'],
      tried: says(generation),
    })),
  }
}
async function inspect(seen: Found = found()): Promise<void> {
  for (const item of await ledger.toInspect(0)) await ledger.recordFound(item, { found: seen }, 'rotator')
}
const credential = async () => (await ledger.listCredentials('key'))[0]
const item = async () => (await ledger.showRecovery())?.credentials.find((c) => c.credential === 'key')
const typesOf = async (stream: string) => (await ledger.journal({ stream })).map((e) => e.type)

describe('a ledger that was restored from an older backup', () => {
  test('is held, looked at and released, and makes no generation that exists', async () => {
    const copy = await backup()
    await rotate()
    await rotate()
    const held = [...nodes.values()].map((n) => ({ revision: n.revision, session: n.session }))
    await restore(copy)
    expect(await credential()).toMatchObject({ currentGeneration: 1 })

    await ledger.recover(recovered)
    await connect()
    // Nodes are told nothing, and nothing is done.
    const before = JSON.stringify([store, [...nodes.values()].map((n) => n.accept)])
    await turn()
    expect(JSON.stringify([store, [...nodes.values()].map((n) => n.accept)])).toBe(before)
    expect(await ledger.fleet.desiredStates(['n1', 'n2'])).toEqual(new Map())
    for (const [index, about] of [...nodes.values()].entries())
      expect(about.session).toBeGreaterThan(held[index]?.session ?? 0)
    await expect(ledger.start('key', order)).rejects.toMatchObject({
      code: 'not_allowed_now',
      message: expect.stringMatching(/rekey recover --status/),
    })
    await expect(ledger.release('key', release)).rejects.toThrow(/not looked at so far/)

    await inspect()
    expect(await item()).toMatchObject({
      ledger: 1,
      verdict: 'newer',
      stores: [{ store: 'vault', current: 3 }],
      generations: [{ generation: 3, tried: 'accepted' }],
      releasedBy: null,
    })
    expect(await ledger.release('key', release)).toEqual({ credential: 'key', generation: 3, rotation: null })
    expect(await ledger.showRecovery()).toMatchObject({ held: 0 })
    await turn()
    expect(await credential()).toMatchObject({ currentGeneration: 3, openRotation: null })
    for (const [index, about] of [...nodes.values()].entries()) {
      expect(about.accept).toEqual([3])
      expect(about.revision).toBeGreaterThan((held[index]?.revision ?? 0) + 1_000_000)
    }
    const rotation = await rotate()
    expect(rotation).toBe('key-g1002')
    expect(await credential()).toMatchObject({ currentGeneration: 1_002 })
    expect([...dead].sort()).toEqual([1, 2, 3])
    expect(await typesOf('recovery')).toEqual([
      'RecoveryStarted',
      'CredentialInspected',
      'CredentialReleased',
    ])
  })

  test('continues a rotation that was under way: clients of the old value are drained, not cut', async () => {
    const copy = await backup()
    const { rotation } = await ledger.start('key', order)
    await untilEntry(rotation, 'SuccessorLive')
    expect([...nodes.values()].map((n) => n.accept)).toEqual([
      [1, 2],
      [1, 2],
    ])
    await restore(copy)
    await ledger.recover(recovered)
    await connect()
    await inspect()
    expect(await item()).toMatchObject({
      verdict: 'newer',
      generations: [{ generation: 1 }, { generation: 2 }],
    })
    const released = await ledger.release('key', release)
    expect(released).toMatchObject({ generation: 2, rotation: expect.stringMatching(/^key-g2-[a-z0-9]+$/) })
    await turn()
    expect([...nodes.values()].map((n) => n.accept)).toEqual([
      [1, 2],
      [1, 2],
    ])
    await untilRest(released.rotation ?? '')
    expect(await ledger.showRotation(released.rotation ?? '')).toMatchObject({ outcome: 'closed', base: 1 })
    expect([...nodes.values()].map((n) => n.accept)).toEqual([[2], [2]])
    expect([...dead]).toEqual([1])
    expect((await credential())?.generations).toMatchObject([
      { generation: 1, validity: 'destroyed' },
      { generation: 2, validity: 'active', label: 'current' },
    ])
  })

  test('does not bring back what was being revoked', async () => {
    const copy = await backup()
    const { rotation } = await ledger.start('key', order)
    await untilEntry(rotation, 'ProvingStarted')
    expect(dead.size).toBe(0)
    await restore(copy)
    await ledger.recover(recovered)
    await connect()
    await inspect()
    const released = await ledger.release('key', release)
    // From here on a node that is told to accept it fails the test.
    dead.add(1)
    await untilRest(released.rotation ?? '')
    expect([...nodes.values()].map((n) => n.accept)).toEqual([[2], [2]])
  })

  test('ends its own open rotation, with all that was to be done for it', async () => {
    const { rotation } = await ledger.start('key', order)
    await untilEntry(rotation, 'StagingStarted')
    const copy = await backup()
    await untilRest(rotation)
    await rotate()
    await restore(copy)
    await ledger.recover(recovered)
    const { outcome, effects } = await ledger.showRotation(rotation)
    expect(outcome).toBe('cancelled')
    expect(effects.filter((e) => e.state === 'pending' || e.state === 'failed')).toEqual([])
    expect(await ledger.takeWaiting(0)).toEqual([])
    expect(await ledger.fireTimers('test')).toBe(0)
    const [last] = (await ledger.journal({ stream: `rotation/${rotation}` })).slice(-1)
    expect(last).toMatchObject({ type: 'RotationClosed', data: { exceptions: ['ledger_restored'] } })
    await connect()
    await inspect()
    await ledger.release('key', release)
    await turn()
    expect(await credential()).toMatchObject({ currentGeneration: 3, openRotation: null })
    await rotate()
  })

  test('keeps changes that come meanwhile, and opens exactly one rotation for them', async () => {
    const copy = await backup()
    await rotate()
    await restore(copy)
    await ledger.recover(recovered)
    const changed = (id: string, zone: string) =>
      ledger.receive({
        source: 's',
        id,
        digest: zone,
        emitter: 'demo',
        change: { type: 'zonechanged', workload: 'chat', facts: { zone } },
      })
    const first = await changed('1', 'b')
    expect(first).toMatchObject({ verdict: 'queued', rotations: [{ rotation: 'key-g1002', how: 'queued' }] })
    expect(await changed('2', 'c')).toMatchObject({ verdict: 'queued' })
    expect(await changed('2', 'c')).toMatchObject({ verdict: 'duplicate' })
    await connect()
    await inspect()
    expect(await item()).toMatchObject({ waiting: 2 })
    expect(await ledger.release('key', release)).toMatchObject({ generation: 2, rotation: 'key-g1002' })
    await untilRest('key-g1002')
    expect(await ledger.showRotation('key-g1002')).toMatchObject({
      outcome: 'closed',
      cause: { reason: expect.stringMatching(/and 1 later/) },
    })
    expect((await ledger.listRotations({})).filter((r) => r.id !== 'key-g1')).toHaveLength(1)
  })

  test('lets a human choose where the stores show nothing, and refuses what they do not hold', async () => {
    const copy = await backup()
    await rotate()
    await restore(copy)
    store.current = null
    store.versions++
    await ledger.recover(recovered)
    await connect()
    await inspect()
    expect(await item()).toMatchObject({ verdict: 'nothing' })
    await expect(ledger.release('key', release)).rejects.toThrow(/no store shows a value; choose one of 2/)
    await expect(ledger.release('key', { ...release, generation: 1 })).rejects.toThrow(/holds generation 1/)
    await expect(ledger.release('key', { ...release, ended: true })).rejects.toThrow(/has not ended/)
    const { rotation } = await ledger.release('key', { ...release, generation: 2 })
    await untilRest(rotation ?? '')
    expect(store.current).toBe(2)
    expect([...nodes.values()].map((n) => n.accept)).toEqual([[2], [2]])
  })

  test('looks at what is configured meanwhile too, and takes over what exists of it', async () => {
    // Before this credential was configured.
    const early = `${name}_early`
    copies.push(early)
    await migrate(await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, early))
    await rotate()
    await restore(early)
    await ledger.recover(recovered)
    await ledger.configure(DOCUMENTS, { apply: true, actor: 'test' })
    expect(await ledger.showRecovery()).toMatchObject({ held: 1 })
    expect(await ledger.listRotations({})).toEqual([])
    for (const node of nodes.keys()) {
      const { token } = await ledger.createJoinToken({ node, workload: 'chat', ttlMs: 60_000, actor: 'test' })
      await ledger.fleet.redeemJoinToken(node, token)
    }
    await connect()
    await inspect()
    expect(await ledger.release('key', release)).toMatchObject({ generation: 2, rotation: null })
    await turn()
    expect([...nodes.values()].map((n) => n.accept)).toEqual([[2], [2]])
    await rotate()
    expect([...dead]).toEqual([1, 2])
  })

  test('goes past a first recovery when the same backup is restored again', async () => {
    const copy = await backup()
    const restored = async () => {
      await restore(copy)
      await ledger.recover(recovered)
      await connect()
      await inspect()
      await ledger.release('key', release)
      await turn()
    }
    await rotate()
    await restored()
    await rotate()
    const [before] = [...nodes.values()].map((n) => ({ ...n }))
    const [position] = (await ledger.journal({})).slice(-1).map((e) => e.position)
    const accepted = [...nodes.values()].map((n) => n.accept)
    await restored()
    expect([...nodes.values()].map((n) => n.accept)).toEqual(accepted)
    expect(nodes.get('n1')?.revision).toBeGreaterThan(before?.revision ?? 0)
    expect(nodes.get('n1')?.session).toBeGreaterThan(before?.session ?? 0)
    const [after] = (await ledger.journal({})).slice(-1).map((e) => e.position)
    expect(after).toBeGreaterThan(position ?? 0)
    await rotate()
    expect(Math.max(...dead)).toBeLessThan((await credential())?.currentGeneration ?? 0)
  })

  test('cannot be joined with a token from before', async () => {
    const { token } = await ledger.createJoinToken({
      node: 'n3',
      workload: 'chat',
      ttlMs: 60_000,
      actor: 't',
    })
    const copy = await backup()
    await restore(copy)
    await ledger.recover(recovered)
    expect(await ledger.fleet.redeemJoinToken('n3', token)).toBeUndefined()
  })

  test('waits for records of the audit that are being stored', async () => {
    const last = (await ledger.journal({ limit: 1_000 })).at(-1)?.position
    const auditor = new pg.Client({ connectionString: urlOf(name) })
    await auditor.connect()
    try {
      await auditor.query('begin')
      await auditor.query(
        `insert into audit_out (position, sequence, key, bytes, hash)
         select position, row_number() over (order by position), 'k', 'b', repeat('0', 64) from journal`,
      )
      const recovering = ledger.recover(recovered)
      await expect
        .poll(async () => {
          await auditor.query('select pg_stat_clear_snapshot()')
          const { rows } = await auditor.query(
            "select from pg_stat_activity where application_name = 'test' and wait_event_type = 'Lock' and datname = current_database()",
          )
          return rows.length
        })
        .toBe(1)
      await auditor.query('commit')
      await recovering
    } finally {
      await auditor.end()
    }
    expect((await ledger.unaudited(1_000)).map((entry) => entry.type)).toContain('RecoveryStarted')
    expect((await ledger.unaudited(1_000))[0]?.position).toBeGreaterThan((last ?? 0) + 1)
  })
})
