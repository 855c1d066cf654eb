import type { SeenStore } from '@rekey/contracts'

/**
 *  foreign           a value that Rekey did not write
 *  other-generation  the value of another generation of the same credential: an older one was put back
 *  rewritten         the right value, in a version that Rekey did not write
 *  missing           readers get nothing
 */
export type DriftKind = 'foreign' | 'other-generation' | 'rewritten' | 'missing'

/** A store whose readers get something that Rekey did not write. */
export type DriftedStore = {
  store: string
  kind: DriftKind
  /** The version that Rekey wrote last. */
  governed: string
  /** The version that is there instead; null: none is. */
  seen: string | null
  /** Of which generation of the credential that value is, as its fingerprint tells; null: of none that is known. */
  shows: number | null
}

export type StoreVerdict =
  | { store: string; state: 'governed' }
  | ({ state: 'drifted' } & DriftedStore)
  /** It could not be read, so nothing is known: that is no drift. */
  | { store: string; state: 'unknown'; error: string }

/** What Rekey wrote last. `fingerprint`: null where none was made so far. */
export type GovernedStore = { generation: number; storeVersion: string; fingerprint: string | null }

/** `shows`: the credential's generation of the fingerprint that was seen. */
export function judgeStore(seen: SeenStore, governed: GovernedStore, shows: number | null): StoreVerdict {
  const { store } = seen
  if ('error' in seen) return { store, state: 'unknown', error: seen.error }
  const drifted = (kind: DriftKind): StoreVerdict => ({
    store,
    state: 'drifted',
    kind,
    governed: governed.storeVersion,
    seen: seen.storeVersion,
    shows,
  })
  if (!seen.hasValue) return drifted('missing')
  if (seen.storeVersion === governed.storeVersion && !differ(seen.fingerprint, governed.fingerprint))
    return { store, state: 'governed' }
  if (shows === null) return drifted('foreign')
  return drifted(shows === governed.generation ? 'rewritten' : 'other-generation')
}

/** A version does not change; but the versions of a path that was deleted whole are counted from 1 again. */
function differ(seen: string | null, governed: string | null): boolean {
  return seen !== null && governed !== null && seen !== governed
}
