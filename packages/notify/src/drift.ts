import type { Severity } from '@rekey/contracts'
import type { DriftEntry, DriftedStore } from '@rekey/ledger'

type Found = Extract<DriftEntry, { type: 'DriftFound' }>
type Settled = Extract<DriftEntry, { type: 'DriftSettled' }>

/** Readers of the same value in another version notice nothing. */
export function severityOfDrift(stores: readonly DriftedStore[]): Severity {
  return stores.every(({ kind }) => kind === 'rewritten') ? 'warning' : 'critical'
}

export function driftWords({ credential, generation, stores }: Found): string {
  const what = stores.map((one) => `${one.store} shows ${WHAT[one.kind](one)}`).join('; ')
  return `somebody changed ${credential} by hand: ${what}; it should be generation ${generation}: rekey drift settle ${credential}`
}

const WHAT: Record<DriftedStore['kind'], (of: DriftedStore) => string> = {
  foreign: ({ seen }) => `a value that Rekey did not write (version ${seen})`,
  'other-generation': ({ seen, shows }) => `generation ${shows} (version ${seen})`,
  rewritten: ({ seen }) => `the right value in a version that Rekey did not write (${seen})`,
  missing: () => 'nothing',
}

const HOW: Record<Settled['how'], string> = {
  rotated: 'a rotation has replaced what was there',
  offboarded: 'it was offboarded',
  restored: 'it was put right',
}

export function settledWords({ credential, how }: Settled): string {
  return `what the stores show of ${credential} is what Rekey wrote again: ${HOW[how]}`
}
