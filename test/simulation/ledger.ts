import { RekeyError } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import type { MemoryLedger } from '@rekey/testing/ledger'

/** What a world needs of a ledger. Both kinds fit: the one in memory, and the real one. */
export type SimLedger = Pick<
  MemoryLedger,
  | 'receive'
  | 'start'
  | 'submit'
  | 'lease'
  | 'renew'
  | 'complete'
  | 'fail'
  | 'unattended'
  | 'takeWaiting'
  | 'fireTimers'
  | 'nextTimerMs'
  | 'nextWorkMs'
  | 'enrol'
  | 'fleet'
  | 'declareGone'
  | 'excuse'
  | 'loseSilent'
  | 'instancesOf'
  | 'unaudited'
  | 'lastRecord'
  | 'storeRecords'
  | 'unsentRecords'
  | 'markSent'
  | 'settleIntents'
  | 'journal'
>

/** The same ledger; what it throws that is no refusal is a fault of its own, whoever may have caught it. */
export function watched<L extends SimLedger>(ledger: L, onFault: (error: unknown) => void): L {
  const tell = (error: unknown) => {
    if (!RekeyError.is(error)) onFault(error)
    throw error
  }
  const wrap = <O extends object>(of: O): O => {
    const made = { ...of }
    for (const [name, value] of Object.entries(of)) {
      if (name === 'tables' || value === null) continue
      if (typeof value === 'object') Object.assign(made, { [name]: wrap(value) })
      if (typeof value !== 'function') continue
      const call = (...args: unknown[]) => {
        const answer = value(...args)
        return answer instanceof Promise ? answer.catch(tell) : answer
      }
      Object.assign(made, { [name]: call })
    }
    return made
  }
  return wrap(ledger)
}

/** As the code under test names it. */
export type WorkLedger = Pick<Ledger, 'complete' | 'fail'>
