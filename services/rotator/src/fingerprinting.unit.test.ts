import { digestOf, type Fingerprints, RekeyError, Secret } from '@rekey/contracts'
import type { Logger } from '@rekey/runtime'
import { memorySecret, memoryStore, memoryWay } from '@rekey/testing'
import { afterEach, expect, test } from 'vitest'
import { fingerprintAll } from './fingerprinting.ts'

type Of = { credential: string; generation: number }
type Reads = Parameters<ReturnType<typeof memoryStore>['read']>

let fingerprinting: ReturnType<typeof fingerprintAll> | undefined
afterEach(() => fingerprinting?.close())

/** A ledger of three generations, of which the second is in no store, and what becomes of them. */
async function given(
  of: Fingerprints['of'],
  before: (generation: number) => Promise<void> = async () => undefined,
) {
  const store = memoryStore(memorySecret(), memoryWay())
  const call = { key: 'k', signal: new AbortController().signal }
  await store.stage({ generation: 1, keyId: 'key.g1', value: Secret.of('the first value') }, call)
  await store.stage({ generation: 3, keyId: 'key.g3', value: Secret.of('the third value') }, call)
  const recorded = new Map<number, string>()
  const said: string[] = []
  const reads: number[] = []
  fingerprinting = fingerprintAll({
    ledger: {
      unfingerprinted: async () =>
        [1, 2, 3]
          .filter((generation) => !recorded.has(generation))
          .map((generation) => ({ credential: 'key', generation, spec: {} as never })),
      recordFingerprint: async ({ generation }: Of, fingerprint: string) => {
        recorded.set(generation, fingerprint)
      },
      onEffects: () => ({ close: async () => undefined }),
    },
    stores: () => [
      {
        name: 'vault',
        store: {
          read: async (...[generation, about]: Reads) => {
            reads.push(generation)
            await before(generation)
            return store.read(generation, about)
          },
        },
      },
    ],
    fingerprints: { of },
    logger: { warn: (_: object, text: string) => said.push(text) } as unknown as Logger,
  })
  return { recorded, said, reads }
}

test('what a store holds gets a fingerprint, and nothing else does', async () => {
  const { recorded } = await given(async (digests) => digests.map((d) => `hmac of ${d}`))
  await expect.poll(() => recorded.size).toBe(2)
  expect(recorded.get(3)).toBe(`hmac of ${digestOf('the third value')}`)
  expect(recorded.has(2)).toBe(false)
})

test('where none could be made it is tried again, and no store is asked meanwhile', async () => {
  let failures = 0
  const { recorded, reads } = await given(async (digests) => {
    if (failures++ < 2) throw new RekeyError('sealed', 'Vault is sealed')
    return digests.map(() => 'made')
  })
  await expect.poll(() => failures).toBeGreaterThan(1)
  expect(reads).toEqual([])
  await expect.poll(() => recorded.size, { timeout: 5_000 }).toBe(2)
})

test('a store that does not answer keeps no other value waiting', async () => {
  const { recorded, said } = await given(
    async (digests) => digests.map(() => 'made'),
    async (generation) => {
      if (generation === 3) throw new RekeyError('backend_timeout', 'no answer')
    },
  )
  await expect.poll(() => recorded.get(1)).toBe('made')
  expect(said).toEqual(['no fingerprint so far'])
})
