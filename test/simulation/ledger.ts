import { RekeyError } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import type { MemoryLedger } from '@rekey/testing/ledger'

/** What a world needs of a ledger. Both kinds fit: the one in memory, and the real one. */
export type SimLedger = Pick<
  MemoryLedger,
  | 'receive'
  | 'start'
  | 'submit'
  | 'pause'
  | 'endPause'
  | 'lease'
  | 'renew'
  | 'complete'
  | 'fail'
  | 'unattended'
  | 'takeWaiting'
  | 'fireTimers'
  | 'nextTimerMs'
  | 'nextWorkMs'
  | 'createJoinToken'
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

/** One call to a ledger, as text, so that nothing can change it any more. */
export type Call = { name: string; args: string; answer?: string; refusal?: string }

/**
 * The same ledger; what it throws that is no refusal is a fault of its own, whoever may have caught it. `onCall` hears
 * of every call that was answered.
 */
export function watched<L extends SimLedger>(
  ledger: L,
  onFault: (error: unknown) => void,
  onCall?: (call: Call) => void,
): L {
  const watch = async (name: string, args: unknown[], answer: Promise<unknown>): Promise<unknown> => {
    const said = onCall && { name, args: asText(args) }
    try {
      const found = await answer
      onCall?.({ name, args: '', ...said, answer: asText(found) })
      return found
    } catch (error) {
      if (!RekeyError.is(error)) onFault(error)
      else onCall?.({ name, args: '', ...said, refusal: error.code })
      throw error
    }
  }
  const wrap = <O extends object>(of: O, path = ''): O => {
    const made = { ...of }
    for (const [name, value] of Object.entries(of)) {
      if (name === 'tables' || value === null) continue
      if (typeof value === 'object') Object.assign(made, { [name]: wrap(value, `${name}.`) })
      if (typeof value !== 'function') continue
      const call = (...args: unknown[]) => {
        const answer = value(...args)
        return answer instanceof Promise ? watch(path + name, args, answer) : answer
      }
      Object.assign(made, { [name]: call })
    }
    return made
  }
  return wrap(ledger)
}

/** With the keys in order and maps as lists, so that equal things are equal texts. */
export function asText(value: unknown): string {
  const text: string | undefined = JSON.stringify(value, (_key, found: unknown) => {
    if (found instanceof Map) return [...found]
    // What an error says is not among what JSON takes of it.
    if (found instanceof Error) return { ...found, message: found.message }
    if (found === null || typeof found !== 'object' || Array.isArray(found)) return found
    return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
  return text ?? 'null'
}

/** As the code under test names it. */
export type WorkLedger = Pick<Ledger, 'complete' | 'fail'>
