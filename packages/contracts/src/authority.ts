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

/** A value that the provider made, and the name it gave it: no secret. */
export type Minted = { keyId: string; value: Secret }

/** The system that makes a credential valid, checks it and can end it. */
export interface Authority {
  readonly kind: string
  readonly direction: 'inbound' | 'outbound'
  /** How many generations it can accept at once. */
  readonly slots: number
  readonly valueFrom: 'us' | 'provider'
  /**
   * `us`: a new value with at least 128 bits, for this generation: what it is may depend on the slot that the authority
   * keeps for it. Of what is made twice, the stores keep the first. Nothing is accepted by it before `install`.
   */
  make?(generation: number, call: Call): Secret | Promise<Secret>
  /**
   * Whether a value that somebody else made can be one of its generations; throws `not_adoptable`, with the reason. Where
   * there is no such verb, no existing value comes in.
   */
  adopt?(value: Secret): void
  /** `provider`: the names of all values that there are, ours or not. Noted before the first `mint` of a generation. */
  list?(call: Call): Promise<string[]>
  /**
   * `provider`: makes a value. What is there and not among `known` was made by an earlier attempt that could not keep
   * it, and is ended first; if it is in use it is `foreign_writer`. What was made a moment ago may be kept yet, by a worker
   * that was slow: it is left alone, and that is `backend_unavailable`. No free slot is `not_allowed_now`.
   */
  mint?(known: readonly string[], call: Call, generation: number): Promise<Minted>
  /**
   * `provider`, where what was minted ends by itself within minutes: a store has it now, so it shall live. Twice is once;
   * what is gone is `not_allowed_now`.
   */
  keep?(keyId: string, call: Call): Promise<void>
  /** `provider`: ends what was minted and not kept. Succeeds if it is gone. */
  discard?(keyId: string, call: Call): Promise<void>
  /**
   * Outbound: makes the authority accept the value, and tries it there. Twice is once; a slot that holds something
   * else is `foreign_writer`, no free slot is `not_allowed_now`, a value that the authority will not take is
   * `value_refused`. A generation that was suspended or revoked is `not_allowed_now`, however late the call comes.
   */
  install?(value: StoredValue, call: Call): Promise<void>
  /**
   * Where the provider has a place of its own that readers read: makes it show this generation, beside the stores. Twice is
   * once; a generation that was ended is `not_allowed_now`, and what somebody else has put there is `foreign_writer`.
   */
  show?(generation: number, call: Call): Promise<void>
  /** Refuses it from now on, reversibly. Succeeds if it is refused already; never revives what was revoked. */
  suspend?(generation: number, call: Call): Promise<void>
  /** The way back from `suspend`. Succeeds if it was never suspended; what is not there any more is `not_allowed_now`. */
  reinstate?(generation: number, call: Call): Promise<void>
  /** Ends it for good, and lets no late `install` bring it back. Succeeds if it is gone already, or never was there. */
  revoke?(generation: number, call: Call): Promise<void>
  /** How many sessions are open that were opened with it, whether or not it is still accepted. */
  sessions?(generation: number, call: Call): Promise<number>
  /** Ends them. Succeeds where there are none. Only what is refused stays without: end it after `revoke`. */
  endSessions?(generation: number, call: Call): Promise<void>
  /**
   * When it was last used, milliseconds since the epoch, as the provider says it, which may be late; null: it has seen
   * no use.
   */
  lastUsed?(generation: number, call: Call): Promise<number | null>
  /** Tries a value for real, at every declared endpoint. Whatever it sees is a verdict: it throws nothing. */
  probe(value: Secret, call: Call): Promise<ProbeResult[]>
}
