import type { FaultProxy } from '../fault-proxy.ts'
import { brokenOff } from '../leak.ts'

/** How a kit breaks the way between a store's client and its server. All faults end with `heal`. */
export type StoreFaults = {
  /** The nth request from now takes effect, but its answer is lost. */
  loseReply(nth: number): void
  /** The nth request never arrives. */
  loseRequest(nth: number): void
  /** `act` happens just before the nth request arrives. */
  meanwhile(nth: number, act: () => Promise<unknown>): void
  /** Every request takes effect, but no answer ever comes. */
  hang(): void
  /** The server asks for fewer calls. */
  throttle(): void
  /** Nothing answers at all. */
  down(): void
  /** Every answer is an error whose body repeats what was sent. */
  echo(): void
  /** Every answer is a success whose body is the sent text, broken off in its middle. */
  garble(): void
  heal(): void
  /** Requests since a fault was armed. */
  requests(): number
}

/** Faults for a store that speaks HTTP through a fault proxy; `throttled` is how its server says so. */
export function proxyFaults(
  proxy: FaultProxy,
  throttled: { status: number; headers?: Record<string, string>; body: string },
): StoreFaults {
  return {
    loseReply: (nth) => proxy.arm(nth, { kind: 'lose-reply' }),
    loseRequest: (nth) => proxy.arm(nth, { kind: 'lose-request' }),
    meanwhile: (nth, act) => proxy.arm(nth, { kind: 'meanwhile', act }),
    hang: () => proxy.arm('every', { kind: 'hang' }),
    throttle: () => proxy.arm('every', { kind: 'answer', ...throttled }),
    down: () => proxy.arm('every', { kind: 'lose-request' }),
    echo: () =>
      proxy.arm('every', {
        kind: 'answer',
        status: 500,
        headers: { 'content-type': 'application/json' },
        body: (sent) =>
          JSON.stringify({ errors: [sent.toString()], message: sent.toString(), sent: `${sent}` }),
      }),
    garble: () =>
      proxy.arm('every', {
        kind: 'answer',
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: brokenOff,
      }),
    heal: () => proxy.heal(),
    requests: () => proxy.count,
  }
}
