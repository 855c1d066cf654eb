import type { Call } from '@rekey/contracts'

/** A call for a test: bounded, with the key of one effect. */
export function call(key: string, timeoutMs = 10_000): Call {
  return { key, signal: AbortSignal.timeout(timeoutMs) }
}
