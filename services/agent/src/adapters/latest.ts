import type { AcceptedValue } from '@rekey/contracts'

/** What is presented where only one value can be: outbound, the latest. */
export const latestOf = (accept: AcceptedValue[]): AcceptedValue | undefined =>
  accept.toSorted((a, b) => a.generation - b.generation).at(-1)
