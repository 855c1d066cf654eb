import type { ProbeSeen } from './events.ts'

/** What shall be done outside. The key is `rotation.step.target`; the same key is the same act. */
export type Effect = { key: string; due: number } & (
  | { kind: 'stage'; store: string; generation: number }
  | { kind: 'promote'; store: string; generation: number; base: number | null }
  | { kind: 'restore'; store: string; generation: number; base: number }
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

export type EffectKind = Effect['kind']

/** What a worker reports of a finished effect. */
export type EffectResult =
  | { kind: 'stage'; storeVersion: string; keyId: string; proofKey: string | null }
  | { kind: 'promote'; storeVersion: string }
  | { kind: 'restore'; storeVersion: string }
  | { kind: 'destroy' }
  | { kind: 'probe'; results: ProbeSeen[] }
  | { kind: 'deliver' }
