import { type Call, RekeyError, type Store, type StoredValue } from '@rekey/contracts'
import { type MemorySecret, memorySecret, memoryStore } from '@rekey/testing'
import { TokenBucket } from '../token-bucket.ts'
import type { FromRotator, ToRotator } from './messages.ts'

/** `@rekey/backend-vault` and `@rekey/backend-aws` as the rotator imports them; what it calls in the bench has no server behind it. */
export * from '@rekey/backend-aws'
export * from '@rekey/backend-vault'

const secrets = new Map<string, MemorySecret>()
const tells = process.env.BENCH_TELL_ACTS === 'yes'
const writesPerS = Number(process.env.BENCH_AWS_WRITES_PER_S ?? 0)
const storeMs = Number(process.env.BENCH_STORE_MS ?? 0)
const bucket = writesPerS > 0 ? new TokenBucket({ perS: writesPerS, burst: writesPerS }) : undefined

export const connectVault = () => ({ lookupSelf: async () => ({}), close: () => undefined })
/** None is made: fingerprints are work beside the rotations, for Vault. */
export const vaultFingerprints = () => ({ of: async (digests: readonly string[]) => [...digests] })
export const connectSecretsManager = () => ({})
export const connectSecretsInventory = () => ({
  page: async () => ({ names: [], next: undefined }),
  close: () => undefined,
})
export const vaultKvStore = (_client: unknown, { path }: { path: string }) => storeAt(`vault ${path}`)
export const secretsManagerStore = (_client: unknown, { secretId }: { secretId: string }) =>
  storeAt(`aws ${secretId}`, throttle)

function storeAt(place: string, before: () => void = () => undefined): Store {
  const secret = secrets.get(place) ?? memorySecret()
  secrets.set(place, secret)
  const store = memoryStore(secret)
  const began = async ({ key }: Call) => {
    if (tells) tell({ began: key, at: String(process.hrtime.bigint()) })
    before()
    if (storeMs > 0) await new Promise((resolve) => setTimeout(resolve, storeMs))
  }
  return {
    ...store,
    async stage(value, call) {
      await began(call)
      const staged = await store.stage(value, call)
      atGateways.set(staged.value.reveal(), nameOf(value))
      return staged
    },
    async promote(generation, expected, call) {
      await began(call)
      return store.promote(generation, expected, call)
    },
    async destroy(generation, call) {
      await began(call)
      const held = await store.read(generation, call)
      await store.destroy(generation, call)
      if (held) atGateways.delete(held.value.reveal())
      if (held) refused.delete(nameOf(held))
    },
  }
}

/** As Secrets Manager answers above its quota of writes. */
function throttle(): void {
  if (bucket && !bucket.take(performance.now()))
    throw new RekeyError('throttled', 'too many writes in a second')
}

/** Each value by its public id, which names credential and generation. */
const atGateways = new Map<string, string>()
const refused = new Set<string>()
const nameOf = ({ keyId }: StoredValue) => keyId

/** The gateways: a value is accepted until the nodes have said that they refuse it. */
globalThis.fetch = async (_url, init) => {
  const [, value = ''] = new Headers(init?.headers).get('authorization')?.split(' ') ?? []
  const name = atGateways.get(value)
  return new Response(null, { status: name !== undefined && !refused.has(name) ? 200 : 401 })
}

process.on('message', ({ refuse }: ToRotator) => {
  for (const name of refuse) refused.add(name)
})

function tell(message: FromRotator): void {
  process.send?.(message)
}
