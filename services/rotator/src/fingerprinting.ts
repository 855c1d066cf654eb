import { type CredentialSpec, digestOf, type Fingerprints, RekeyError, type Store } from '@rekey/contracts'
import type { Ledger, Unfingerprinted } from '@rekey/ledger'
import { Bell, type Logger, pause, retrying } from '@rekey/runtime'

const POLL_MS = 5_000
/** Announcements come with every step of a rotation; a look for each would be a load beside it. */
const APART_MS = 1_000
const READ_MS = 5_000
const AT_ONCE = 20
const LISTED = 500
/** What could not be read is tried again after so long, and lets the others go first. */
const AGAIN_MS = 60_000

type Options = {
  ledger: Pick<Ledger, 'unfingerprinted' | 'recordFingerprint' | 'onEffects'>
  stores: (spec: CredentialSpec) => { name: string; store: Pick<Store, 'read'> }[]
  fingerprints: Fingerprints
  logger: Logger
}

/**
 * Gives every value that a store holds a fingerprint, so that it is known again if it leaks. Beside the rotations and never
 * in their way: a Vault that makes none delays an emergency by nothing, and what has none yet gets it later.
 */
export function fingerprintAll(options: Options): { close(): Promise<void> } {
  const { ledger, logger } = options
  const ending = new AbortController()
  const bell = new Bell()
  const listener = ledger.onEffects(() => bell.ring())
  const tried = new Map<string, number>()
  const working = retrying(logger, 'make fingerprints', ending.signal, async () => {
    await fingerprintOnce(options, tried, ending.signal)
    await pause(APART_MS, ending.signal)
    await bell.wait(POLL_MS, ending.signal)
  })
  return {
    async close() {
      ending.abort()
      await Promise.all([working, listener.close()])
    },
  }
}

async function fingerprintOnce(
  { ledger, stores, fingerprints, logger }: Options,
  tried: Map<string, number>,
  ending: AbortSignal,
): Promise<void> {
  const now = performance.now()
  const nameOf = ({ credential, generation }: Unfingerprinted) => `${credential}.g${generation}`
  const all = await ledger.unfingerprinted(LISTED)
  const names = new Set(all.map(nameOf))
  for (const name of tried.keys()) if (!names.has(name)) tried.delete(name)
  const due = all.filter((of) => now - (tried.get(nameOf(of)) ?? -AGAIN_MS) >= AGAIN_MS).slice(0, AT_ONCE)
  if (due.length === 0) return
  // Without the key in Vault no store is asked at all.
  await make(fingerprints, digestOf('is there a key?'), ending)
  await Promise.all(
    due.map(async (of) => {
      const name = nameOf(of)
      const isNew = !tried.has(name)
      tried.set(name, now)
      try {
        const digest = await digestIn(stores(of.spec), of, ending)
        if (digest === undefined) return
        await ledger.recordFingerprint(of, await make(fingerprints, digest, ending))
      } catch (error) {
        if (isNew && !ending.aborted)
          logger.warn(
            { error, credential: of.credential, generation: of.generation },
            'no fingerprint so far',
          )
      }
    }),
  )
}

/** From the first store that holds it. Undefined: none does, or not yet. */
async function digestIn(
  stores: ReturnType<Options['stores']>,
  { credential, generation }: Unfingerprinted,
  ending: AbortSignal,
): Promise<string | undefined> {
  let failure: unknown
  for (const { store } of stores) {
    const signal = AbortSignal.any([ending, AbortSignal.timeout(READ_MS)])
    try {
      const kept = await store.read(generation, { key: `${credential}.fingerprint.g${generation}`, signal })
      if (kept) return digestOf(kept.value.reveal())
    } catch (error) {
      failure = error
    }
  }
  if (failure !== undefined) throw failure
  return undefined
}

async function make(fingerprints: Fingerprints, digest: string, ending: AbortSignal): Promise<string> {
  const signal = AbortSignal.any([ending, AbortSignal.timeout(READ_MS)])
  const [made] = await fingerprints.of([digest], { signal })
  if (made === undefined) throw new RekeyError('bad_response', 'Vault made no fingerprint')
  return made
}
