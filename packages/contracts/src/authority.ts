import type { Secret } from './secret.ts'
import type { Call, StoredValue } from './store.ts'

/** What an outside try of a value showed. Anything but a listed refusal code or a clear yes is `unknown`. */
export type Probe = 'accepted' | 'refused' | 'unknown'

export type ProbeResult = {
  endpoint: string
  verdict: Probe
  /** What was seen: an HTTP status, or a word such as `timeout`; never a body. */
  seen: string
}

/** The system that makes a credential valid, checks it and can end it. */
export interface Authority {
  readonly kind: string
  readonly direction: 'inbound' | 'outbound'
  /** How many generations it can accept at once. */
  readonly slots: number
  readonly valueFrom: 'us' | 'provider'
  /** A new value with at least 128 bits. Called only where the store holds none for this generation. */
  make(): Secret
  /**
   * Outbound: makes the authority accept the value, and tries it there. Twice is once; a slot that holds something
   * else is `foreign_writer`, no free slot is `not_allowed_now`, a value that the authority will not take is
   * `value_refused`. A generation that was suspended or revoked is `not_allowed_now`, however late the call comes.
   */
  install?(value: StoredValue, call: Call): Promise<void>
  /** Refuses it from now on, reversibly. Succeeds if it is refused already; never revives what was revoked. */
  suspend?(generation: number, call: Call): Promise<void>
  /** The way back from `suspend`. Succeeds if it was never suspended; what is not there any more is `not_allowed_now`. */
  reinstate?(generation: number, call: Call): Promise<void>
  /** Ends it for good, and lets no late `install` bring it back. Succeeds if it is gone already, or never was there. */
  revoke?(generation: number, call: Call): Promise<void>
  /** Tries a value for real, at every declared endpoint. Whatever it sees is a verdict: it throws nothing. */
  probe(value: Secret, call: Call): Promise<ProbeResult[]>
}
