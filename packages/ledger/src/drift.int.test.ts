import { type Document, Document as DocumentSchema, RekeyError, type SeenStore } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { ScriptedWorkers } from './fixtures/scripted-workers.ts'
import { type Ledger, migrate, openLedger } from './index.ts'

const apiVersion = 'rekey.dev/v1'
const DOCUMENTS: Document[] = [
  {
    apiVersion,
    kind: 'Workload',
    metadata: { name: 'chat' },
    spec: { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team' },
  },
  {
    apiVersion,
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
      rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0, evidenceMs: 60_000 },
    },
  },
].map((d) => DocumentSchema.parse(d))

let ledger: Ledger
let workers: ScriptedWorkers
let pool: pg.Pool

beforeEach(async () => {
  const url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `ledger_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  pool = new pg.Pool({ connectionString: url, max: 1 })
  await ledger.configure(DOCUMENTS, { apply: true, actor: 'ana' })
  const { token } = await ledger.createJoinToken({
    node: 'gw-1',
    workload: 'chat',
    ttlMs: 60_000,
    actor: 'test',
  })
  await ledger.fleet.redeemJoinToken('gw-1', token)
  await ledger.fleet.openSession({ node: 'gw-1', boot: 'b', instance: 'i' })
  workers = new ScriptedWorkers(ledger)
  expect(await workers.untilEnded('key', 'key-g1')).toBe('closed')
  await ledger.recordFingerprint({ credential: 'key', generation: 1 }, 'hmac-1')
})
afterEach(async () => {
  await pool.end()
  await ledger.close()
})

const EVERY_MS = 900_000
const take = async () => {
  const [taken] = await ledger.takeLooks({ onlyAsked: true, limit: 8, leaseMs: 30_000 })
  if (!taken) throw new Error('there is nothing to look at')
  return taken
}
/** What the stores show, but for `over`. */
const seen = (over: Record<string, Partial<SeenStore>> = {}): SeenStore[] =>
  ['vault', 'aws'].map((store) => ({
    store,
    storeVersion: workers.shown.get(store) ?? null,
    hasValue: true,
    fingerprint: 'hmac-1',
    ...over[store],
  }))
const FOREIGN = { storeVersion: 'by hand', fingerprint: 'hmac-x' }

async function look(over: Record<string, Partial<SeenStore>> = {}): Promise<void> {
  await ledger.askLook('key')
  await ledger.recordLook(await take(), seen(over), EVERY_MS, 'rotator')
}

const settle = (seen: Record<string, string | null> = { vault: 'by hand' }, key?: string) =>
  ledger.order({ digest: JSON.stringify(seen), ...(key && { key }) }, (orders) =>
    orders.settleDrift('key', { seen, actor: 'ben', reason: 'edited by mistake', ticket: 'OPS-13' }),
  )
const rotate = (mode: 'rotate' | 'expedite' | 'contain' = 'rotate', compromised: number[] = []) =>
  ledger.start('key', {
    cause: { kind: 'order', actor: 'ana', reason: 'r' },
    mode,
    goal: 'replace',
    compromised,
  })
/** What a promotion of this rotation would replace in Vault, once it comes to that; leased and not done. */
async function atVault(rotation: string) {
  const key = `${rotation}.promote.vault-${rotation.split('-')[1]}`
  let leased: Awaited<ReturnType<typeof ledger.lease>>
  await expect
    .poll(
      async () => {
        leased = await ledger.lease(key, 'test', 60_000)
        if (leased) return 'at the store'
        await workers.turn('key', rotation).catch(() => undefined)
        return (await ledger.showRotation(rotation)).phase
      },
      { timeout: 20_000, interval: 20 },
    )
    .toBe('at the store')
  if (!leased) throw new Error('nothing was leased')
  return leased
}
const told = async () => (await ledger.journal({ stream: 'credential/key' })).map(({ type }) => type)
const shown = async () => (await ledger.listCredentials('key'))[0]

describe('a look', () => {
  test('is planned for every credential, and is taken when its time has come', async () => {
    await ledger.planLooks(0)
    await ledger.planLooks(EVERY_MS)
    const [first, ...others] = await ledger.takeLooks({ onlyAsked: false, limit: 8, leaseMs: 30_000 })
    expect(others).toEqual([])
    expect(first).toMatchObject({
      credential: 'key',
      generation: 1,
      governed: Object.fromEntries(workers.shown),
    })
    expect(await ledger.takeLooks({ onlyAsked: false, limit: 8, leaseMs: 30_000 })).toEqual([])
    if (first) await ledger.recordLook(first, seen(), EVERY_MS, 'rotator')
    expect(await ledger.takeLooks({ onlyAsked: false, limit: 8, leaseMs: 30_000 })).toEqual([])
    expect(await ledger.showLook('key')).toMatchObject({ lookedAt: expect.any(String), drift: null })
  })

  test('answers who asked, and finds nothing where the stores show what was written', async () => {
    const asked = await ledger.askLook('key')
    await ledger.recordLook(await take(), seen(), EVERY_MS, 'rotator')
    expect(await ledger.showLook('key')).toMatchObject({
      answered: asked,
      stores: [
        { store: 'vault', state: 'governed' },
        { store: 'aws', state: 'governed' },
      ],
      drift: null,
    })
    expect(await told()).toEqual([])
  })

  test('finds what was changed once, journals it once, and closes when it is as it was', async () => {
    await look({ vault: FOREIGN })
    await look({ vault: FOREIGN })
    expect(await told()).toEqual(['DriftFound'])
    const [drift] = await ledger.listDrift()
    expect(drift).toMatchObject({
      credential: 'key',
      owner: 'team',
      generation: 1,
      stores: [{ store: 'vault', kind: 'foreign', seen: 'by hand', shows: null }],
    })
    expect((await shown())?.drift).toMatchObject({ id: drift?.id, stores: [{ store: 'vault' }] })
    await look({ vault: { ...FOREIGN, storeVersion: 'by hand again' } })
    await look()
    expect(await ledger.journal({ stream: 'credential/key' })).toMatchObject([
      { type: 'DriftFound', data: { again: false } },
      { type: 'DriftFound', data: { again: true, stores: [{ seen: 'by hand again' }] } },
      { type: 'DriftSettled', data: { how: 'restored', generation: 1 } },
    ])
    expect(await ledger.listDrift()).toEqual([])
    expect((await shown())?.drift).toBeNull()
  })

  test('that cannot be made finds nothing, and closes nothing', async () => {
    const silent = { error: 'backend_unavailable: no answer' }
    await look({ vault: silent, aws: silent })
    expect(await told()).toEqual([])
    await look({ vault: FOREIGN })
    await look({ vault: silent })
    expect(await told()).toEqual(['DriftFound'])
    expect(await ledger.showLook('key')).toMatchObject({
      stores: [{ state: 'unknown' }, { state: 'governed' }],
      drift: { stores: [{ store: 'vault', kind: 'foreign' }] },
    })
  })

  test('that a rotation overtook decides nothing', async () => {
    await ledger.askLook('key')
    const taken = await take()
    const { rotation } = await rotate()
    await ledger.recordLook(taken, seen({ vault: FOREIGN }), EVERY_MS, 'rotator')
    await expect(ledger.askLook('key')).rejects.toMatchObject({ code: 'not_allowed_now' })
    expect(await workers.untilEnded('key', rotation)).toBe('closed')
    await ledger.recordLook(taken, seen({ vault: FOREIGN }), EVERY_MS, 'rotator')
    expect(await told()).toEqual([])
  })

  test('that was asked for during another is made too', async () => {
    await ledger.askLook('key')
    const first = await take()
    const asked = await ledger.askLook('key')
    await ledger.recordLook(first, seen(), EVERY_MS, 'rotator')
    await ledger.recordLook(await take(), seen(), EVERY_MS, 'rotator')
    expect(await ledger.showLook('key')).toMatchObject({ answered: asked })
  })

  test('comes sooner when looks become more frequent', async () => {
    await ledger.planLooks(EVERY_MS * 1_000)
    await ledger.planLooks(0)
    expect(await ledger.takeLooks({ onlyAsked: false, limit: 8, leaseMs: 30_000 })).toHaveLength(1)
  })

  test('does not tell whose else a value is', async () => {
    await pool.query(
      "insert into generation (credential, generation, validity, key_id, fingerprint) values ('key', 9, 'staged', 'k', 'hmac-9')",
    )
    await look({ vault: { storeVersion: '7', fingerprint: 'hmac-9' } })
    expect(await ledger.listDrift()).toMatchObject([{ stores: [{ kind: 'other-generation', shows: 9 }] }])
  })

  test('is not made while a rotation is under way', async () => {
    await ledger.askLook('key')
    await rotate()
    expect(await ledger.takeLooks({ onlyAsked: false, limit: 8, leaseMs: 30_000 })).toEqual([])
  })
})

describe('a rotation that replaces what somebody wrote', () => {
  test('replaces just that, and the finding closes when it has', async () => {
    await look({ vault: FOREIGN })
    workers.shown.set('vault', 'by hand')
    const ordered = await settle(undefined, 'k1')
    expect(ordered.rotation).toBe('key-g2')
    expect(await settle(undefined, 'k1')).toEqual(ordered)
    expect(await workers.untilEnded('key', 'key-g2')).toBe('closed')
    await ledger.recordFingerprint({ credential: 'key', generation: 2 }, 'hmac-2')
    await look({ vault: { fingerprint: 'hmac-2' }, aws: { fingerprint: 'hmac-2' } })
    const entries = await ledger.journal({ stream: 'credential/key' })
    expect(entries.at(-1)).toMatchObject({
      type: 'DriftSettled',
      data: { how: 'rotated', rotation: 'key-g2', generation: 2 },
    })
    expect((await ledger.showRotation('key-g2')).cause).toMatchObject({
      reason: 'vault had drifted: edited by mistake',
      ticket: 'OPS-13',
    })
  })

  test('that is given up before it came to the stores leaves the finding open', async () => {
    await look({ vault: FOREIGN })
    const { rotation } = await settle()
    await ledger.submit(rotation, { type: 'RollbackAsked', actor: 'ana', reason: 'no' }, 'ana')
    expect(await workers.untilEnded('key', rotation)).not.toBe('closed')
    // What was said of the rotation that was given up does not hold for the next one, whoever opens it and when.
    const governed = workers.shown.get('vault')
    const next = await rotate()
    const leased = await atVault(next.rotation)
    expect(leased.shown).toMatchObject({ vault: governed })
    await ledger.fail(leased, new RekeyError('foreign_writer', 'somebody wrote'), 'test')
    await ledger.submit(next.rotation, { type: 'RollbackAsked', actor: 'ana', reason: 'no' }, 'ana')
    expect(await workers.untilEnded('key', next.rotation)).not.toBe('closed')
    await look({ vault: FOREIGN })
    expect(await ledger.listDrift()).toMatchObject([
      { stores: [{ store: 'vault', seen: 'by hand' }], order: null },
    ])
    workers.shown.set('vault', 'by hand')
    expect(await workers.untilEnded('key', (await settle()).rotation)).toBe('closed')
  })

  test('is told what each store showed, and that one of them shows nothing', async () => {
    await look({ vault: FOREIGN, aws: { hasValue: false, storeVersion: null, fingerprint: null } })
    const { rotation } = await settle({ vault: 'by hand', aws: null })
    const leased = await atVault(rotation)
    expect(leased.shown).toEqual({ vault: 'by hand' })
  })

  test('is looked at as soon as it has ended, also where nobody looks by the clock', async () => {
    await look({ vault: FOREIGN })
    workers.shown.set('vault', 'by hand')
    expect(await workers.untilEnded('key', (await settle()).rotation)).toBe('closed')
    await ledger.recordFingerprint({ credential: 'key', generation: 2 }, 'hmac-2')
    const now = { vault: { fingerprint: 'hmac-2' }, aws: { fingerprint: 'hmac-2' } }
    await ledger.recordLook(await take(), seen(now), 0, 'rotator')
    expect(await ledger.listDrift()).toEqual([])
  })
})

test.each(['rotate', 'expedite'] as const)(
  'a rotation that is held at what somebody wrote (%s) goes on when it is told to replace that',
  async (mode) => {
    await look({ vault: FOREIGN })
    workers.shown.set('vault', 'by hand')
    const { rotation } = await rotate(mode)
    const leased = await atVault(rotation)
    await ledger.fail(leased, new RekeyError('foreign_writer', 'somebody wrote'), 'test')
    expect((await ledger.showRotation(rotation)).hold).toMatchObject({ reason: 'effect_failed' })
    expect(await settle()).toMatchObject({ rotation })
    expect((await ledger.showRotation(rotation)).hold).toBeNull()
    expect(await workers.untilEnded('key', rotation)).toBe('closed')
  },
)

test('a rotation that a human holds is told what it replaces, and stays held', async () => {
  await look({ vault: FOREIGN })
  const { rotation } = await rotate()
  await ledger.submit(rotation, { type: 'HoldAsked', actor: 'ana', reason: 'wait' }, 'ana')
  expect(await settle()).toMatchObject({ rotation })
  expect((await ledger.showRotation(rotation)).hold).toMatchObject({ reason: 'human' })
})

test('what is about something else than the stores show is refused', async () => {
  await look({ vault: FOREIGN })
  await look({ vault: { ...FOREIGN, storeVersion: 'by hand again' } })
  for (const other of [{ vault: 'by hand' }, {}, { vault: 'by hand again', aws: null }])
    await expect(settle(other)).rejects.toMatchObject({
      code: 'not_allowed_now',
      message: expect.stringContaining('look again'),
    })
  expect(await settle({ vault: 'by hand again' })).toMatchObject({ rotation: 'key-g2' })
})

test('nothing replaces what an offboarding ends', async () => {
  await look({ vault: FOREIGN })
  await ledger.start('key', {
    cause: { kind: 'order', actor: 'ana', reason: 'gone' },
    mode: 'rotate',
    goal: 'retire',
    compromised: [],
  })
  await expect(settle()).rejects.toMatchObject({ code: 'not_allowed_now' })
})

test('nothing is settled where nothing is known to have drifted', async () => {
  await expect(settle()).rejects.toMatchObject({ code: 'not_allowed_now' })
})

test('what was offboarded has no drift any more', async () => {
  await look({ vault: FOREIGN })
  const { rotation } = await ledger.start('key', {
    cause: { kind: 'order', actor: 'ana', reason: 'gone' },
    mode: 'rotate',
    goal: 'retire',
    compromised: [],
  })
  expect(await workers.untilEnded('key', rotation)).toBe('closed')
  await ledger.closeOffboarded('rotator')
  expect(await ledger.listDrift()).toEqual([])
  expect((await ledger.journal({ stream: 'credential/key' })).at(-1)).toMatchObject({
    type: 'DriftSettled',
    data: { how: 'offboarded' },
  })
})
