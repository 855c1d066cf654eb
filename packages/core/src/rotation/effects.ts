import type { ProbeSeen } from './events.ts'

/**
 * What shall be done outside. The key is `rotation.step.target`; the same key is the same act. `of` is the generation
 * whose track asked for it: when that track is given up, its effects are cancelled.
 */
export type Effect = { key: string; due: number; of: number | null } & (
  | { kind: 'stage'; store: string; generation: number }
  /** Outbound: make the authority accept the staged value, and try it there. */
  | { kind: 'install'; generation: number }
  /** `over`: generations that were given up. A late promotion of one of them may have landed, and is replaced. */
  | { kind: 'promote'; store: string; generation: number; base: number | null; over: number[] }
  /** Put the base back as a new store version, because `generation` was abandoned. */
  | { kind: 'restore'; store: string; generation: number; base: number }
  /** Let readers find nothing, if they would find `generation` now. */
  | { kind: 'withdraw'; store: string; generation: number }
  | { kind: 'suspend'; generation: number }
  | { kind: 'reinstate'; generation: number }
  /** `urgent`: does not wait for leases that could still install it; a later round comes after them. */
  | { kind: 'revoke'; generation: number; round: number; urgent: boolean }
  | { kind: 'destroy'; store: string; generation: number }
  /** `round` counts from 0, so that a repeated answer is known as one. */
  | {
      kind: 'probe'
      purpose: 'baseline' | 'refusal'
      generation: number
      control: number | null
      round: number
    }
  | { kind: 'deliver'; revision: number; nodes: string[] }
  | { kind: 'timer'; timer: Timer }
)

/** Timers are effects whose act is to look again. The same key may be armed again. */
export type Timer =
  | { name: 'settled' }
  | { name: 'overdue' }
  | { name: 'wave-deadline'; revision: number }
  | { name: 'drain-look'; generation: number }
  /** How do the nodes answer? */
  | { name: 'brake-look' }
  /** Something is possible from now on: the soak or the distance between promotions is over. */
  | { name: 'look'; about: string }

export type EffectKind = Effect['kind']

/** What a worker reports of a finished effect. */
export type EffectResult =
  | { kind: 'stage'; storeVersion: string; keyId: string; proofKey: string | null }
  | { kind: 'install' }
  | { kind: 'promote'; storeVersion: string }
  | { kind: 'restore'; storeVersion: string }
  /** Null: readers did not find it there, so nothing was written. */
  | { kind: 'withdraw'; storeVersion: string | null }
  | { kind: 'suspend' }
  | { kind: 'reinstate' }
  | { kind: 'revoke' }
  | { kind: 'destroy' }
  | { kind: 'probe'; results: ProbeSeen[] }
  | { kind: 'deliver' }
