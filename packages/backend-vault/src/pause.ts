import { setTimeout as delay } from 'node:timers/promises'
import { type Call, RekeyError } from '@rekey/contracts'

/** Waits, but not past the end of the call. */
export async function pauseFor(ms: number, { signal }: Pick<Call, 'signal'>): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {
    throw new RekeyError('backend_timeout', 'the time of the attempt was over while it waited')
  })
}
