import { setTimeout as delay } from 'node:timers/promises'
import type { AcceptedValue, Probe, Secret } from '@rekey/contracts'

/** How long software may take until it has read what it was told to read. */
const TAKE_UP_MS = 3_000
const LOOK_AGAIN_MS = 50

/**
 * A signal is answered later, and by nobody: what is seen just after it may still be from before. So it is looked again, for a
 * while after each change, until it is as it should be; what is seen then counts.
 */
export function tryUntil(once: (value: Secret) => Promise<Probe>) {
  let given: readonly AcceptedValue[] = []
  let until = 0
  return {
    given(accept: readonly AcceptedValue[]): void {
      given = accept
      until = performance.now() + TAKE_UP_MS
    },
    async try(value: Secret): Promise<Probe> {
      const wanted = given.some((one) => one.value.equals(value)) ? 'accepted' : 'refused'
      for (;;) {
        const seen = await once(value)
        if (seen === wanted || performance.now() >= until) return seen
        await delay(LOOK_AGAIN_MS)
      }
    },
  }
}
