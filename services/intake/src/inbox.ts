import type { Verdict } from '@rekey/contracts'
import type { Change, Leak } from '@rekey/core'

/** The part of the ledger that intake works with. Both verbs are idempotent: a repeat is told the first verdict. */
export interface Inbox {
  receive(input: {
    source: string
    id: string
    digest: string
    emitter: string
    change: Change | Leak
  }): Promise<Verdict>
  recordRejected(input: {
    source: string
    id: string
    digest: string
    emitter: string
    reason: string
  }): Promise<Verdict>
}
