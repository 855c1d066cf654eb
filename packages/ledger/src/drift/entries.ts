import type { DriftedStore } from './judge.ts'

/**
 * How it ended: a rotation made another value; the credential was offboarded; or its stores show the value again, by
 * somebody's hand or by a rollback.
 */
export type DriftEnd = 'rotated' | 'offboarded' | 'restored'

/** What the journal has of one drift, in the stream of its credential. */
export type DriftEntry =
  | {
      type: 'DriftFound'
      credential: string
      drift: number
      /** The one in use, which readers should get. */
      generation: number
      stores: DriftedStore[]
      /** It was known, and is another one by now. */
      again: boolean
    }
  | {
      type: 'DriftSettlementOrdered'
      credential: string
      drift: number
      generation: number
      /** Which replaces what is there. */
      rotation: string
      reason: string
      ticket: string | null
    }
  | {
      type: 'DriftSettled'
      credential: string
      drift: number
      how: DriftEnd
      generation: number | null
      /** In which another value was made. */
      rotation: string | null
    }
