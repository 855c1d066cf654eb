import type { DriftedStore } from '@rekey/ledger'

/** What readers of a store get that Rekey did not write. */
export function driftedWords({ store, kind, governed, seen, shows }: DriftedStore): string {
  const instead = `(version ${seen ?? 'none'} in place of ${governed})`
  switch (kind) {
    case 'missing':
      return `${store} shows nothing ${instead}`
    case 'rewritten':
      return `${store} shows the right value in a version that Rekey did not write ${instead}`
    case 'other-generation':
      return `${store} shows generation ${shows} ${instead}`
    case 'foreign':
      return `${store} shows a value that Rekey did not write ${instead}`
    default:
      // A newer control may know other kinds.
      kind satisfies never
      return `${store} has drifted ${instead}`
  }
}
