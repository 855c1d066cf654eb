import type { Effect, EffectResult, Timer } from './effects.ts'
import type { RotationEvent } from './events.ts'
import type { Cause, Disruption, Goal, Mode, Nack } from './state.ts'

/** What reached a rotation. Late and repeated input decides nothing. */
export type Input =
  | { type: 'EffectDone'; effect: Effect; result: EffectResult }
  /** Failed for good: the same call would fail again. */
  | { type: 'EffectFailed'; effect: Effect; code: string; message: string }
  /** Still retried, but a human should know. */
  | { type: 'EffectStruggling'; effect: Effect; code: string; message: string; failures: number }
  | { type: 'TimerFired'; timer: Timer }
  /** The ledger saw the last node of a wave prove it. */
  | { type: 'WaveProved'; revision: number }
  | ({ type: 'NodeNacked'; revision: number; generation: number | null } & Nack)
  /** A node joined, was declared gone, or was excused. */
  | { type: 'NodesChanged' }
  /** `epoch`: of the announcement. What was announced, given up and announced again is acknowledged again. */
  | { type: 'AuditAcknowledged'; generation: number; epoch?: number }
  | ({ type: 'CauseAdded' } & Asked)
  | { type: 'RollbackAsked'; actor: string; reason: string }
  /** `until`: when it ends by itself; absent: only a human ends it. */
  | { type: 'HoldAsked'; actor: string; reason: string; until?: number }
  | { type: 'ResumeAsked'; actor: string; reason: string }

/** What a cause asks for. `compromised`: the generations that leaked; empty: the one in use, where that is clear. */
export type Asked = { cause: Cause; mode: Mode; goal: Goal; compromised: number[] }

/** One expected node: every node of the credential's workload that is not `gone`. */
export type Member = {
  node: string
  excused: boolean
  /** Not heard of for a while. It is still expected: only a containment does not wait for it. */
  lost: boolean
  /** Highest revision that it proved, in a session that counts. */
  provedRevision: number
  /** Generations that it proved to accept (outbound: to present) at that revision. */
  accepts: number[]
  /** When its counters were last reported; null: never, so nothing can be concluded. Ledger's clock, milliseconds. */
  reportedAt: number | null
  usage: {
    generation: number
    inFlight: number
    lastUsedAt: number | null
    /** About the last half minute, older ones weighing less; absent: its software counts no failures. */
    recent?: Answers
  }[]
  labels?: Record<string, string>
  /** Why it could not take what it was told last; absent: it has not said so. */
  nack?: string
  /** How long its software goes on with a value that it had, as its configuration says; absent: not at all. */
  cacheMs?: number
  /** The longest that a request or stream runs there; absent: not known. */
  longestMs?: number
  /** How a change disturbs what it serves; absent: not known, because it was never connected. */
  disruption?: Disruption
}

/** Requests, and how many of them were answered with an error of the server (5xx) or not at all. */
export type Answers = { requests: number; failures: number }

/** What the authority was seen to have of one generation. Ledger's clock, milliseconds. */
export type Observation = {
  generation: number
  /** When it was looked at. */
  at: number
  /** Sessions that were open then. */
  sessions: number
  /** When a session was last seen; null: in no look so far. */
  lastUsedAt: number | null
}

/** The world as the ledger saw it, under the rotation's lock, in the transaction that will store the decision. */
export type Facts = {
  now: number
  members: Member[]
  /** The number that the next generation gets. */
  nextGeneration: number
  /** When the last lease that is held on an effect of this rotation ends; 0: none is held. */
  leasedUntil: number
  /** What the authority showed of generations that are being drained; absent: nobody has looked. */
  observed?: Observation[]
}

export type Decision = {
  events: RotationEvent[]
  effects: Effect[]
  /** A human resumed: effects that failed for good are tried again. */
  retryFailed?: true
  /** Why a human's order was not taken. */
  refusal?: string
}
