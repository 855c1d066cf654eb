import { CredentialSpec, type Fingerprints, RekeyError, type SeenStore } from '@rekey/contracts'
import type { ToLook } from '@rekey/ledger'
import { memorySecret, memoryStore, plantedSecret } from '@rekey/testing'
import { afterEach, expect, test, vi } from 'vitest'
import { watchDrift } from './drift.ts'

const spec = CredentialSpec.parse({
  workload: 'chat',
  purpose: 'api',
  direction: 'inbound',
  authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
  stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/b' }],
})
const fingerprints: Fingerprints = { of: async (digests) => digests.map(() => 'hmac') }

let watch: { close(): Promise<void> } | undefined
afterEach(async () => {
  await watch?.close()
  watch = undefined
})

/** A ledger that hands out each thing once, and a store with a promoted value. */
async function given(looks: ToLook[] = []) {
  const secret = memorySecret()
  const store = memoryStore(secret)
  const call = (key: string) => ({ key, signal: AbortSignal.timeout(5_000) })
  await store.stage({ generation: 1, keyId: 'key.g1', value: plantedSecret() }, call('stage'))
  await store.promote(1, undefined, call('promote'))
  const warnings: object[] = []
  const ledger = {
    planLooks: vi.fn(async () => {}),
    takeLooks: vi.fn(async () => looks.splice(0)),
    recordLook: vi.fn(async (_taken: ToLook, _seen: SeenStore[]) => {}),
    closeOffboarded: vi.fn(async () => {}),
    onEffects: () => ({ close: async () => {} }),
  }
  const start = (everyMs: number, over: Partial<typeof store> = {}) => {
    watch = watchDrift({
      ledger,
      stores: () => [{ name: 'vault', store: { ...store, ...over } }],
      fingerprints,
      everyMs,
      worker: 'rotator/1',
      logger: { info: () => {}, warn: (about: object) => warnings.push(about), error: () => {} } as never,
    })
  }
  return { secret, ledger, warnings, start }
}

const look = (): ToLook => ({
  credential: 'key',
  attempt: 1,
  asked: 1,
  spec,
  generation: 1,
  governed: { vault: '1' },
})

test('credentials are looked at by the clock, and what is seen is told to the ledger', async () => {
  const { ledger, start } = await given([look()])
  start(900_000)
  await expect.poll(() => ledger.recordLook.mock.calls).toHaveLength(1)
  expect(ledger.recordLook.mock.calls[0]).toMatchObject([
    { credential: 'key' },
    [{ store: 'vault', storeVersion: '1', hasValue: true, fingerprint: 'hmac' }],
    900_000,
    'rotator/1',
  ])
  expect(ledger.planLooks).toHaveBeenCalledWith(900_000)
  expect(ledger.takeLooks).toHaveBeenCalledWith(expect.objectContaining({ onlyAsked: false }))
})

test('with 0 nothing is planned, and only who asks is answered', async () => {
  const { ledger, start } = await given()
  start(0)
  await expect.poll(() => ledger.takeLooks.mock.calls.length).toBeGreaterThan(0)
  expect(ledger.planLooks).not.toHaveBeenCalled()
  expect(ledger.takeLooks).toHaveBeenCalledWith(expect.objectContaining({ onlyAsked: true }))
})

test('a store that does not answer is told as such, and logged', async () => {
  const { ledger, warnings, start } = await given([look()])
  start(0, {
    readShown: async () => {
      throw new RekeyError('throttled', 'later')
    },
  })
  await expect.poll(() => ledger.recordLook.mock.calls).toHaveLength(1)
  expect(ledger.recordLook.mock.calls[0]?.[1]).toEqual([{ store: 'vault', error: 'throttled: later' }])
  expect(warnings).toMatchObject([{ credential: 'key', unknown: ['vault: throttled: later'] }])
})
