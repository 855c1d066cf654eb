import { type Fingerprints, RekeyError, Secret, type Store } from '@rekey/contracts'
import { memorySecret, memoryStore, plantedSecret, writeByHand } from '@rekey/testing'
import { expect, test } from 'vitest'
import { look } from './look-at-stores.ts'

const call = (key: string) => ({ key, signal: AbortSignal.timeout(5_000) })
const fingerprints: Fingerprints = { of: async (digests) => digests.map((digest) => `hmac-${digest}`) }

/** One store in which Rekey has promoted a first generation. */
async function given() {
  const secret = memorySecret()
  const store = memoryStore(secret)
  await store.stage({ generation: 1, keyId: 'key.g1', value: plantedSecret() }, call('stage'))
  const version = await store.promote(1, undefined, call('promote'))
  return { secret, store, governed: { vault: version } }
}

const see = (
  { store, governed }: { store: Pick<Store, 'readShown'>; governed: Record<string, string> },
  by: Fingerprints = fingerprints,
) =>
  look(
    { credential: 'key', governed },
    {
      stores: [
        { name: 'vault', store: { ...memoryStore(), ...store } },
        { name: 'new-in-the-document', store: memoryStore() },
      ],
      fingerprints: by,
    },
    AbortSignal.timeout(5_000),
    10,
  )

test('what Rekey wrote is read once, and only stores that it wrote to', async () => {
  const { store, governed } = await given()
  let reads = 0
  const counted = {
    readShown: (...of: Parameters<Store['readShown']>) => {
      reads++
      return store.readShown(...of)
    },
  }
  expect(await see({ store: counted, governed })).toEqual([
    { store: 'vault', storeVersion: '1', hasValue: true, fingerprint: expect.stringMatching(/^hmac-/) },
  ])
  expect(reads).toBe(1)
})

test('what somebody wrote is told by version and fingerprint, and never as it is', async () => {
  const { store, secret, governed } = await given()
  writeByHand(secret, Secret.of('planted-by-hand'))
  const seen = await see({ store, governed })
  expect(seen).toMatchObject([{ storeVersion: '2', hasValue: true }])
  expect(JSON.stringify(seen)).not.toContain('planted')
})

test('what differs is read once more, and is not known where it changes meanwhile', async () => {
  const { store, secret, governed } = await given()
  let reads = 0
  const changing = {
    readShown: (...of: Parameters<Store['readShown']>) => {
      if (reads++ < 2) writeByHand(secret, plantedSecret())
      return store.readShown(...of)
    },
  }
  expect(await see({ store: changing, governed })).toEqual([
    { store: 'vault', error: 'it changed while it was looked at' },
  ])
})

test('an answer as of before the last write is no drift', async () => {
  const { store, governed } = await given()
  let reads = 0
  const stale = {
    readShown: async (...of: Parameters<Store['readShown']>) =>
      reads++ === 0 ? { storeVersion: '0', value: plantedSecret() } : store.readShown(...of),
  }
  expect(await see({ store: stale, governed })).toEqual([
    { store: 'vault', error: 'it changed while it was looked at' },
  ])
})

test('a store that does not answer is not known, and stops no other', async () => {
  const { governed } = await given()
  const silent = {
    readShown: async () => {
      throw new RekeyError('throttled', 'ask later')
    },
  }
  expect(await see({ store: silent, governed })).toEqual([{ store: 'vault', error: 'throttled: ask later' }])
})

const failing = (code: 'backend_unavailable' | 'permission_denied'): Fingerprints => ({
  of: async () => {
    throw new RekeyError(code, 'no')
  },
})

test('without fingerprints for now, what differs is not known; what does not is', async () => {
  const { store, secret, governed } = await given()
  expect(await see({ store, governed }, failing('backend_unavailable'))).toMatchObject([
    { storeVersion: '1', fingerprint: null },
  ])
  writeByHand(secret, plantedSecret())
  expect(await see({ store, governed }, failing('backend_unavailable'))).toEqual([
    { store: 'vault', error: 'no fingerprint could be made: backend_unavailable: no' },
  ])
})

test('where none are made at all, the version tells', async () => {
  const { store, secret, governed } = await given()
  writeByHand(secret, plantedSecret())
  expect(await see({ store, governed }, failing('permission_denied'))).toEqual([
    { store: 'vault', storeVersion: '2', hasValue: true, fingerprint: null },
  ])
})
