import type { AcceptedValue } from '@rekey/contracts'

/** The one that software presents which can present one only. */
export const latestOf = (accept: AcceptedValue[]): AcceptedValue | undefined =>
  accept.toSorted((a, b) => a.generation - b.generation).at(-1)
