import { Document } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Ledger, migrate, openLedger } from './index.ts'

const DOCUMENTS = [
  {
    kind: 'Workload',
    metadata: { name: 'shop' },
    spec: { spiffeId: 'spiffe://example.org/shop', environment: 'prod', owner: 'team' },
  },
  {
    kind: 'Credential',
    metadata: { name: 'db' },
    spec: {
      workload: 'shop',
      purpose: 'database',
      direction: 'outbound',
      authority: {
        kind: 'postgres-role-pair',
        pair: 'shop_app',
        owner: 'shop_owner',
        connection: 'shop',
        endpoints: [{ name: 'primary', url: 'postgres://127.0.0.1/shop' }],
        soakMs: 0,
      },
      stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/db' }],
      rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0, evidenceMs: 2_000 },
    },
  },
].map((document) => Document.parse({ apiVersion: 'rekey.dev/v1', ...document }))

let ledger: Ledger
beforeEach(async () => {
  const url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `observed_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  await ledger.configure(DOCUMENTS, { apply: true, actor: 'test' })
})
afterEach(() => ledger.close())

/** Does what is due, as a worker whose outside does all that it is asked. */
async function work(rotation: string): Promise<void> {
  await ledger.fireTimers('test')
  for (const { key } of await ledger.takeWaiting(0)) {
    const leased = await ledger.lease(key, 'test', 5_000)
    if (!leased) continue
    const { effect } = leased
    const verdict = effect.kind === 'probe' && effect.purpose === 'refusal' ? 'refused' : 'accepted'
    if (effect.kind === 'stage')
      await ledger.complete(leased, { kind: 'stage', storeVersion: 's', keyId: 'k', proofKey: 'p' }, 'test')
    else if (effect.kind === 'promote' || effect.kind === 'restore')
      await ledger.complete(leased, { kind: effect.kind, storeVersion: key }, 'test')
    else if (effect.kind === 'withdraw')
      await ledger.complete(leased, { kind: 'withdraw', storeVersion: null }, 'test')
    else if (effect.kind === 'probe')
      await ledger.complete(
        leased,
        { kind: 'probe', results: [{ endpoint: 'primary', verdict, seen: '', control: 'accepted' }] },
        'test',
      )
    else if (effect.kind !== 'timer') await ledger.complete(leased, { kind: effect.kind }, 'test')
  }
  for (const { type, data } of await ledger.journal({ stream: `rotation/${rotation}` }))
    if (type === 'RevocationAnnounced')
      await ledger.submit(
        rotation,
        { type: 'AuditAcknowledged', generation: Number(data.generation) },
        'auditor',
      )
}

async function until(rotation: string, reached: () => Promise<boolean>, observe?: () => Promise<void>) {
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    if (await reached()) return
    await observe?.()
    await work(rotation)
  }
  throw new Error(JSON.stringify(await ledger.showRotation(rotation), null, 1))
}

const outcome = async (rotation: string) => (await ledger.showRotation(rotation)).outcome
const ended = (rotation: string) => async () => (await outcome(rotation)) !== null
const draining = async () => (await ledger.toObserve()).length > 0

describe('an outbound rotation', () => {
  test('asks who still uses what is drained, and waits until nobody does', async () => {
    await until('db-g1', ended('db-g1'))
    expect(await ledger.toObserve()).toEqual([])
    const { rotation } = await ledger.start('db', {
      cause: { kind: 'order', actor: 'me', reason: 'r' },
      mode: 'rotate',
      goal: 'replace',
      compromised: [],
    })
    await until(rotation, draining)
    expect(await ledger.toObserve()).toMatchObject([{ credential: 'db', generations: [1] }])
    for (let turn = 0; turn < 3; turn++) await work(rotation)
    const waitsFor = async () => (await ledger.showRotation(rotation)).waitsFor.join()
    expect(await waitsFor()).toContain('the authority has not been looked at')

    await ledger.recordObservation('db', [{ generation: 1, sessions: 2, ageMs: 0 }])
    for (let turn = 0; turn < 3; turn++) await work(rotation)
    expect(await waitsFor()).toContain('the authority has 2 open sessions of it')
    // A look that began before that one is no news.
    await ledger.recordObservation('db', [{ generation: 1, sessions: 0, ageMs: 60_000 }])
    expect(await waitsFor()).toContain('the authority has 2 open sessions of it')

    await until(rotation, ended(rotation), () =>
      ledger.recordObservation('db', [{ generation: 1, sessions: 0, ageMs: 0 }]),
    )
    expect(await outcome(rotation)).toBe('closed')
    const types = (await ledger.journal({ stream: `rotation/${rotation}` })).map((entry) => entry.type)
    expect(types).toEqual(expect.arrayContaining(['ValueInstalled', 'Suspended', 'Revoked']))
  })
})

test('the roles of a pair cannot be changed under live generations, its endpoints can', async () => {
  const [, credential] = DOCUMENTS
  if (credential?.kind !== 'Credential' || credential.spec.authority.kind !== 'postgres-role-pair')
    throw new Error()
  const { authority } = credential.spec
  const changed = (change: Partial<typeof authority>) => ({
    ...credential,
    spec: { ...credential.spec, authority: { ...authority, ...change } },
  })
  const apply = (document: Document) => ledger.configure([document], { apply: true, actor: 'test' })
  await expect(apply(changed({ pair: 'other' }))).rejects.toThrow(/spec\.authority cannot be changed/)
  await apply(changed({ soakMs: 5, endpoints: [{ name: 'second', url: 'postgres://127.0.0.1:1/shop' }] }))
})
