import { RekeyError } from '@rekey/contracts'
import type { StoreFaults } from './faults.ts'

/** A way to a server in memory that can be broken. Several can share one. */
export type MemoryWay = {
  faults: StoreFaults
  /** Requests since the last fault was armed or healed. */
  readonly count: number
  reach<T>(signal: AbortSignal, effect: () => T): Promise<T>
}

export function memoryWay(): MemoryWay {
  let fault: 'lose-reply' | 'lose-request' | 'hang' | 'throttle' | 'down' | 'bad' | 'meanwhile' | undefined
  let between: (() => Promise<unknown>) | undefined
  let nth = 0
  let count = 0
  const arm = (kind: typeof fault, at = 0) => {
    fault = kind
    nth = at
    count = 0
  }
  return {
    faults: {
      loseReply: (at) => arm('lose-reply', at),
      loseRequest: (at) => arm('lose-request', at),
      meanwhile: (at, act) => {
        arm('meanwhile', at)
        between = act
      },
      hang: () => arm('hang'),
      throttle: () => arm('throttle'),
      down: () => arm('down'),
      echo: () => arm('bad'),
      garble: () => arm('bad'),
      heal: () => arm(undefined),
      requests: () => count,
    },
    get count() {
      return count
    },
    async reach(signal, effect) {
      await Promise.resolve()
      if (signal.aborted) throw new RekeyError('backend_timeout', 'the deadline had passed before the call')
      count += 1
      const hit = nth === 0 || nth === count
      if (fault === 'down' || (fault === 'lose-request' && hit)) {
        throw new RekeyError('backend_unavailable', 'the server cannot be reached')
      }
      if (fault === 'throttle') throw new RekeyError('throttled', 'the server asks for fewer calls')
      if (fault === 'bad') throw new RekeyError('bad_response', 'the server answered nonsense')
      if (fault === 'meanwhile' && hit) {
        await between?.()
        // Its only request is conditional on nothing, so it stands for one that looks first.
        if (signal.aborted) throw new RekeyError('backend_timeout', 'the deadline passed in mid-call')
      }
      const result = effect()
      if (fault === 'lose-reply' && hit) {
        throw new RekeyError('backend_unavailable', 'the server cut the connection')
      }
      if (fault === 'hang') {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        throw new RekeyError('backend_timeout', 'the server did not answer before the deadline')
      }
      return result
    },
  }
}
