import { type Document, Document as DocumentSchema } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { ScriptedWorkers } from './fixtures/scripted-workers.ts'
import { type Ledger, migrate, openLedger } from './index.ts'

const apiVersion = 'rekey.dev/v1'

function documents(firstValue?: 'adopt'): Document[] {
  return [
    {
      apiVersion,
      kind: 'Workload',
      metadata: { name: 'chat' },
      spec: { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team', zone: 'a' },
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
        ...(firstValue && { firstValue }),
        rollout: {
          settleMs: 60_000,
          windows: [{ days: ['mon'], from: '03:00', to: '03:01' }],
          quietMs: 0,
          readerCacheMs: 0,
          evidenceMs: 60_000,
        },
      },
    },
    {
      apiVersion,
      kind: 'Rule',
      metadata: { name: 'zone' },
      spec: { when: { change: ['zonechanged'] }, rotate: ['key'] },
    },
  ].map((d) => DocumentSchema.parse(d))
}

let ledger: Ledger

beforeEach(async () => {
  const url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `ledger_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
})
afterEach(() => ledger.close())

const configure = () => ledger.configure(documents('adopt'), { apply: true, actor: 'ana' })
const adopt = (key?: string) =>
  ledger.order({ digest: 'd', ...(key && { key }) }, (orders) =>
    orders.adopt('key', { actor: 'ben', reason: 'moving under Rekey', ticket: 'OPS-12' }),
  )
const rotate = () =>
  ledger.start('key', {
    cause: { kind: 'order', actor: 'ana', reason: 'r' },
    mode: 'rotate',
    goal: 'replace',
    compromised: [],
  })

async function join(node: string): Promise<void> {
  const { token } = await ledger.createJoinToken({ node, workload: 'chat', ttlMs: 60_000, actor: 'test' })
  await ledger.fleet.redeemJoinToken(node, token)
  await ledger.fleet.openSession({ node, boot: 'b', instance: 'i' })
}

/** The staging of a store, leased as a rotator would have it. */
const stageOf = (store: string) =>
  vi.waitFor(
    async () => {
      await ledger.fireTimers('test')
      for (const { key } of await ledger.takeWaiting(0)) {
        if (!key.includes('stage') || !key.includes(store)) continue
        const leased = await ledger.lease(key, 'w', 5_000)
        if (leased) return leased
      }
      throw new Error(`nothing stages in ${store}`)
    },
    { timeout: 5_000, interval: 20 },
  )

describe('a credential whose value is to be adopted', () => {
  test('has nothing made, by whatever comes, until somebody adopts it', async () => {
    const changes = await configure()
    expect(changes.find((c) => c.kind === 'Credential')).toMatchObject({ awaitsAdoption: true })
    expect(changes.find((c) => c.kind === 'Credential')).not.toHaveProperty('rotation')
    await expect(rotate()).rejects.toMatchObject({
      code: 'not_allowed_now',
      message: expect.stringContaining('rekey adopt key'),
    })
    const verdict = await ledger.receive({
      source: 's',
      id: 'e1',
      digest: 'x',
      emitter: 'demo',
      change: { type: 'zonechanged', workload: 'chat', facts: { zone: 'b' } },
    })
    expect(verdict).toMatchObject({ verdict: 'no-rule', rotations: [] })
    expect(await ledger.listRotations({})).toEqual([])
  })

  test('leaves its nodes what they hold: they are told of it in their wave', async () => {
    await configure()
    await join('n1')
    expect((await ledger.fleet.desiredStates(['n1'])).get('n1')).toBeUndefined()
    await adopt()
    for (const store of ['vault', 'aws']) {
      const leased = await stageOf(store)
      expect((await ledger.fleet.desiredStates(['n1'])).get('n1')).toBeUndefined()
      const { generation } = leased.effect as { generation: number }
      await ledger.complete(
        leased,
        { kind: 'stage', storeVersion: 's', keyId: `made-${generation}`, proofKey: 'pub' },
        'w',
      )
    }
    expect((await ledger.fleet.desiredStates(['n1'])).get('n1')).toMatchObject([
      { credential: 'key', accept: [{ generation: 1, keyId: 'made-1' }], refuse: [] },
    ])
  })

  test('is adopted as generation 1, without a window, and the record says who wanted it and why', async () => {
    await configure()
    await join('n1')
    expect(await adopt()).toEqual({ rotation: 'key-g1', how: 'opened' })
    const leased = await stageOf('vault')
    expect(leased).toMatchObject({ adopts: 1, effect: { generation: 1 } })
    const workers = new ScriptedWorkers(ledger, {})
    await ledger.recordLive(leased, { vault: '7', aws: 'a' })
    expect(
      await ledger.complete(
        leased,
        { kind: 'stage', storeVersion: 's', keyId: 'key.g1', proofKey: 'pub' },
        'w',
      ),
    ).toBe('recorded')
    workers.shown.set('vault', '7')
    workers.shown.set('aws', 'a')
    // The promotion replaces what the adoption saw there, and nothing else.
    expect(await workers.untilEnded('key', 'key-g1')).toBe('closed')
    const [credential] = await ledger.listCredentials('key')
    expect(credential).toMatchObject({ currentGeneration: 1, openRotation: null })
    expect(credential?.generations).toMatchObject([{ generation: 1, label: 'current', validity: 'active' }])
    const [entry] = await ledger.journal({ stream: 'credential/key' })
    expect(entry).toMatchObject({
      type: 'AdoptionOrdered',
      actor: 'ben',
      data: {
        credential: 'key',
        generation: 1,
        rotation: 'key-g1',
        reason: 'moving under Rekey',
        ticket: 'OPS-12',
      },
    })
    const [opened] = await ledger.journal({ stream: 'rotation/key-g1' })
    expect(opened).toMatchObject({ type: 'RotationOpened', actor: 'ben', data: { cause: { actor: 'ben' } } })
    await expect(adopt()).rejects.toMatchObject({
      message: expect.stringContaining('generation 1 is in use'),
    })
  })

  test('is adopted once by one order, however often that is sent', async () => {
    await configure()
    const [one, two] = await Promise.all([adopt('k'), adopt('k')])
    expect(two).toEqual(one)
    await expect(adopt('other')).rejects.toMatchObject({ code: 'not_allowed_now' })
    expect(await ledger.journal({ stream: 'credential/key' })).toHaveLength(1)
  })

  test('can be left alone and adopted later, as its next generation', async () => {
    await configure()
    await adopt()
    await ledger.fireTimers('test')
    await ledger.submit('key-g1', { type: 'RollbackAsked', actor: 'ana', reason: 'the stores differ' }, 'ana')
    await new ScriptedWorkers(ledger).untilEnded('key', 'key-g1')
    await expect(rotate()).rejects.toMatchObject({ code: 'not_allowed_now' })
    expect(await adopt()).toEqual({ rotation: 'key-g2', how: 'opened' })
    expect(await stageOf('vault')).toMatchObject({ adopts: 2 })
  })

  test('keeps no version that a worker saw after its time', async () => {
    await configure()
    await adopt()
    const leased = await stageOf('vault')
    await expect(ledger.recordLive({ ...leased, attempt: 0 }, { vault: '9' })).rejects.toMatchObject({
      code: 'not_allowed_now',
    })
  })

  test('cannot be made one afterwards, nor the reverse', async () => {
    await ledger.configure(documents(), { apply: true, actor: 'ana' })
    await expect(configure()).rejects.toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringContaining('spec.firstValue cannot be changed'),
    })
    await expect(adopt()).rejects.toMatchObject({ code: 'not_allowed_now' })
  })
})
