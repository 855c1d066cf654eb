import { digestOf, type Fingerprints, RekeyError, type SeenStore, type ShownVersion } from '@rekey/contracts'
import type { ToLook } from '@rekey/ledger'
import { pause } from '@rekey/runtime'
import type { DriftStores } from './drift.ts'

/** What differs is read once more after this: a store may answer as of before its last write. */
const CONFIRM_MS = 2_000

type Hands = { stores: ReturnType<DriftStores>; fingerprints: Fingerprints }
type Read = { store: string; shown: ShownVersion } | { store: string; error: string }

/** What readers of each store get that Rekey wrote to before. Values are made into fingerprints, and forgotten. */
export async function look(
  { credential, governed }: Pick<ToLook, 'credential' | 'governed'>,
  { stores, fingerprints }: Hands,
  signal: AbortSignal,
  confirmMs = CONFIRM_MS,
): Promise<SeenStore[]> {
  const call = { key: `${credential}.look`, signal }
  const isAsWritten = (name: string, { storeVersion, value }: ShownVersion) =>
    storeVersion === governed[name] && value !== undefined
  const read = await Promise.all(
    stores
      .filter(({ name }) => governed[name] !== undefined)
      .map(async ({ name, store }): Promise<Read> => {
        try {
          const shown = await store.readShown(call)
          if (isAsWritten(name, shown)) return { store: name, shown }
          await pause(confirmMs, signal)
          const again = await store.readShown(call)
          if (isSame(shown, again)) return { store: name, shown: again }
          return { store: name, error: 'it changed while it was looked at' }
        } catch (error) {
          return { store: name, error: wordsOf(error) }
        }
      }),
  )
  const made = await fingerprintsOf(read, fingerprints, signal)
  return read.map((one): SeenStore => {
    if ('error' in one) return one
    const { storeVersion = null, value } = one.shown
    // Without the service that tells whose it is, only what is as it was written is known.
    if (made.error !== undefined && value && !isAsWritten(one.store, one.shown))
      return { store: one.store, error: made.error }
    const fingerprint = made.of.get(one.store) ?? null
    return { store: one.store, storeVersion, hasValue: value !== undefined, fingerprint }
  })
}

function isSame(a: ShownVersion, b: ShownVersion): boolean {
  if (a.storeVersion !== b.storeVersion) return false
  return a.value && b.value ? a.value.equals(b.value) : a.value === b.value
}

/** `error`: none could be made now, and later perhaps one. A Vault that makes none at all is no error. */
async function fingerprintsOf(
  read: Read[],
  fingerprints: Fingerprints,
  signal: AbortSignal,
): Promise<{ of: Map<string, string>; error?: string }> {
  const values = read.flatMap((one) =>
    'shown' in one && one.shown.value
      ? [{ store: one.store, digest: digestOf(one.shown.value.reveal()) }]
      : [],
  )
  if (values.length === 0) return { of: new Map() }
  try {
    const made = await fingerprints.of(
      values.map(({ digest }) => digest),
      { signal },
    )
    return {
      of: new Map(values.flatMap(({ store }, n) => (made[n] === undefined ? [] : [[store, made[n]]]))),
    }
  } catch (error) {
    if (RekeyError.is(error) && !error.retryable) return { of: new Map() }
    return { of: new Map(), error: `no fingerprint could be made: ${wordsOf(error)}` }
  }
}

function wordsOf(error: unknown): string {
  if (!RekeyError.is(error))
    return `an unexpected fault (${error instanceof Error ? error.name : typeof error})`
  return `${error.code}: ${error.message}`
}
