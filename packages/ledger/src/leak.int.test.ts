import { Document } from '@rekey/contracts'
import type { Leak } from '@rekey/core'
import { createDatabase } from '@rekey/local'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Ledger, migrate, openLedger } from './index.ts'

const at = (kind: string, name: string, spec: object) =>
  Document.parse({ apiVersion: 'rekey.dev/v1', kind, metadata: { name }, spec })

let ledger: Ledger
let reports = 0

beforeEach(async () => {
  const name = `leak_${crypto.randomUUID().replaceAll('-', '')}`
  const url = await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, name)
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
})
afterEach(() => ledger.close())

/** A credential whose generation 1 is in use, and nobody at work. */
async function given(spec: object = {}, proofKey: string | null = null) {
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
  await until('key-g1', proofKey)
}

/** Plays every worker until a rotation has ended: no node has joined, so nobody has to prove anything. */
async function until(rotation: string, proofKey: string | null): Promise<void> {
  await expect
    .poll(
      async () => {
        await ledger.fireTimers('conductor')
        for (const { key } of await ledger.takeWaiting(0)) {
          const leased = await ledger.lease(key, 'rotator', 60_000)
          if (!leased) continue
          const { effect } = leased
          if (effect.kind === 'stage')
            await ledger.complete(
              leased,
              { kind: 'stage', storeVersion: '1', keyId: `key.g${effect.generation}`, proofKey },
              'rotator',
            )
          else if (effect.kind === 'promote')
            await ledger.complete(leased, { kind: 'promote', storeVersion: '1' }, 'rotator')
          else throw new Error(`nobody plays ${effect.kind}`)
        }
        return (await ledger.showRotation(rotation)).outcome
      },
      { timeout: 20_000 },
    )
    .toBe('closed')
}

const report = (leak: Partial<Leak> = {}, id = `leak-${++reports}`) =>
  ledger.receive({
    source: '/scanner',
    id,
    digest: id,
    emitter: 'scanner',
    change: { type: 'credential.leaked', credential: 'key', where: 'a build log', ...leak },
  })

describe('a report of a leak', () => {
  test('expedites its credential, and a repeat is told so', async () => {
    await given()
    const first = await report({ generation: 1 }, 'one')
    expect(first).toMatchObject({
      verdict: 'rotation-opened',
      reason: 'key leaked: a build log',
      rotations: [{ credential: 'key', rotation: 'key-g2', how: 'opened' }],
    })
    expect(await report({ generation: 1 }, 'one')).toMatchObject({ verdict: 'duplicate' })
    expect(await ledger.showRotation('key-g2')).toMatchObject({
      mode: 'expedite',
      compromised: [1],
      cause: { kind: 'leak', actor: 'scanner', event: '/scanner one', reason: 'key leaked: a build log' },
    })
  })

  test('contains it where its document says so', async () => {
    await given({ onLeak: 'contain' })
    await report()
    expect(await ledger.showRotation('key-g2')).toMatchObject({ mode: 'contain', compromised: [1] })
  })

  test('by another scanner joins, and opens no second rotation', async () => {
    await given()
    await report()
    expect(await report()).toMatchObject({ verdict: 'joined', rotations: [{ rotation: 'key-g2' }] })
    expect(await report({ generation: 1 })).toMatchObject({ verdict: 'joined' })
    expect(await ledger.listRotations({ limit: 9 })).toMatchObject([
      { id: 'key-g2', followUps: 0 },
      { id: 'key-g1' },
    ])
  })

  test('takes over a routine rotation that is under way', async () => {
    await given()
    const cause = { kind: 'order', actor: 'me', reason: 'r' } as const
    await ledger.start('key', { cause, mode: 'rotate', goal: 'replace', compromised: [] })
    expect(await report({ generation: 1 })).toMatchObject({
      verdict: 'joined',
      rotations: [{ rotation: 'key-g2' }],
    })
    expect(await ledger.showRotation('key-g2')).toMatchObject({ mode: 'expedite', compromised: [1] })
  })

  test('by a fingerprint is about exactly that value, whatever else it says', async () => {
    await given()
    await ledger.recordFingerprint({ credential: 'key', generation: 1 }, 'of one')
    const named = { credential: 'github/octo/chat/42', fingerprint: 'of one' }
    expect(await report(named)).toMatchObject({
      verdict: 'rotation-opened',
      reason: 'key leaked: a build log',
      rotations: [{ credential: 'key', rotation: 'key-g2', how: 'opened' }],
    })
    expect(await ledger.showRotation('key-g2')).toMatchObject({ mode: 'expedite', compromised: [1] })
    expect(await report({ ...named, credential: 'key', generation: 2 })).toMatchObject({ verdict: 'joined' })
    expect(await ledger.showRotation('key-g2')).toMatchObject({ compromised: [1] })
  })

  test('by a fingerprint that none has is none of the credential that it names, once all its values have one', async () => {
    await given({}, 'proof')
    const unknown = { fingerprint: 'of nothing', where: 'https://github.example/octo/chat/42' }
    expect(await report({ ...unknown, credential: 'github/octo/chat/42' })).toMatchObject({
      verdict: 'unknown-credential',
      rotations: [],
      reason: expect.stringMatching(/reported as github.octo.chat.42; it was seen here: https:/),
    })
    await ledger.recordFingerprint({ credential: 'key', generation: 1 }, 'of one')
    expect(await report(unknown)).toMatchObject({ verdict: 'unknown-credential', rotations: [] })
    expect(await ledger.listRotations({ limit: 9 })).toHaveLength(1)
  })

  test('by a fingerprint that none has is judged by its name while a value has none yet', async () => {
    await given({}, 'proof')
    expect(await report({ fingerprint: 'of nothing' })).toMatchObject({ verdict: 'rotation-opened' })
  })

  test.each<[string, Partial<Leak>, string]>([
    ['of a credential that there is not', { credential: 'other' }, 'unknown-credential'],
    ['of a generation that there never was', { generation: 7 }, 'unknown-credential'],
    ['from before the value in use', { at: 1 }, 'no-change'],
  ])('%s does nothing, and says why', async (_name, leak, verdict) => {
    await given()
    expect(await report(leak)).toMatchObject({
      verdict,
      rotations: [],
      reason: expect.stringMatching(/.{10}/),
    })
    expect(await ledger.listRotations({ limit: 9 })).toHaveLength(1)
  })

  test('that cannot be acted on is refused, leaves no trace but its verdict, and is kept as one', async () => {
    await given()
    // Two generations are in use once the stores have moved, and the report says of neither that it leaked.
    const cause = { kind: 'order', actor: 'me', reason: 'r' } as const
    await ledger.start('key', { cause, mode: 'rotate', goal: 'replace', compromised: [] })
    await expect
      .poll(
        async () => {
          await ledger.fireTimers('conductor')
          for (const { key, kind } of await ledger.takeWaiting(0)) {
            if (kind !== 'stage') continue
            const leased = await ledger.lease(key, 'rotator', 60_000)
            if (leased)
              await ledger.complete(
                leased,
                { kind: 'stage', storeVersion: '2', keyId: 'key.g2', proofKey: null },
                'rotator',
              )
          }
          return (await ledger.journal({ stream: 'rotation/key-g2' })).map(({ type }) => type)
        },
        { timeout: 20_000 },
      )
      .toContain('PromotionAsked')
    const before = await ledger.journal({ stream: 'rotation/key-g2' })
    expect(await report()).toMatchObject({
      verdict: 'refused',
      reason: expect.stringContaining('say which generation leaked: 1 and 2 are both in use'),
    })
    expect(await ledger.journal({ stream: 'rotation/key-g2' })).toEqual(before)
    expect(await ledger.journal({ stream: 'intake' })).toMatchObject([
      { type: 'EventJudged', data: { verdict: 'refused' } },
    ])
    expect(await report({ generation: 1 })).toMatchObject({ verdict: 'joined' })
  })
})

test('what Rekey itself works with is neither contained nor retired, by any order, and is expedited', async () => {
  await given()
  await ledger.configure(
    [
      at('Credential', 'manager', {
        workload: 'chat',
        purpose: 'manager',
        direction: 'outbound',
        connection: 'shop',
        authority: {
          kind: 'postgres-role-pair',
          pair: 'managers',
          owner: 'manager',
          connection: 'root',
          endpoints: [{ name: 'primary', url: 'postgres://127.0.0.1/shop' }],
        },
        stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/manager' }],
      }),
    ],
    { apply: true, actor: 'me' },
  )
  const cause = { kind: 'order', actor: 'me', reason: 'leaked' } as const
  const order = { cause, goal: 'replace', compromised: [] } as const
  const refused = { code: 'not_allowed_now', message: expect.stringContaining('would lock itself out') }
  await expect(ledger.start('manager', { ...order, compromised: [], mode: 'contain' })).rejects.toMatchObject(
    refused,
  )
  await expect(
    ledger.start('manager', { ...order, compromised: [], mode: 'rotate', goal: 'retire' }),
  ).rejects.toMatchObject(refused)
  expect(await ledger.start('manager', { ...order, compromised: [], mode: 'expedite' })).toMatchObject({
    how: 'joined',
  })
})
