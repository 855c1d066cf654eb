import type { Cause, Hold, Nack, Outcome, Plan, Rotation } from './state.ts'

/** One endpoint's answers to one probe round: the value under test, and the control in the same window. */
export type ProbeSeen = {
  endpoint: string
  verdict: 'accepted' | 'refused' | 'unknown'
  seen: string
  /** Null where there is no other generation to compare with. */
  control: 'accepted' | 'refused' | 'unknown' | null
}

/** One store's answer to a staging effect. */
export type Staged = { store: string; storeVersion: string; keyId: string; proofKey: string | null }

/** A whole desired state for a set of nodes. */
export type Wave = {
  track: 'successor' | 'retirement'
  /** The retirement's generation; absent for the successor track. */
  of?: number
  purpose: 'widen' | 'confirm' | 'narrow'
  /** All waves of this rollout, stated with its first wave. */
  waves: string[][]
  wave: number
  nodes: string[]
  revision: number
  accept: number[]
  refuse: number[]
  floor: number
}

/** What happened, as the journal keeps it. `evolve` rebuilds a rotation from these alone. */
export type RotationEvent =
  | {
      type: 'RotationOpened'
      id: string
      credential: string
      mode: Rotation['mode']
      cause: Cause
      plan: Plan
      base: number | null
      generation: number
      revision: number
    }
  | { type: 'CauseJoined'; cause: Cause }
  | { type: 'FollowUpNoted'; cause: Cause }
  | { type: 'StagingStarted'; generation: number; waves: string[][] }
  | ({ type: 'ValueStaged'; generation: number } & Staged)
  | { type: 'RollingStarted'; generation: number }
  | ({ type: 'WaveStarted' } & Wave)
  | {
      type: 'WaveProved'
      purpose: Wave['purpose']
      wave: number
      revision: number
      nodes: string[]
      excused: string[]
    }
  | ({ type: 'NodeNacked'; revision: number; generation: number | null } & Nack)
  | { type: 'PromotionAsked'; generation: number; store: string }
  | { type: 'StorePromoted'; generation: number; store: string; storeVersion: string }
  | { type: 'ConfirmingStarted'; generation: number }
  | { type: 'BaselineProbed'; generation: number; results: ProbeSeen[]; conclusive: boolean }
  | { type: 'SuccessorLive'; generation: number }
  | { type: 'SuccessorAbandoned'; generation: number; reason: string; actor: string }
  | {
      type: 'RetirementOpened'
      generation: number
      control: number | null
      because: 'replaced' | 'abandoned'
      shown: boolean
      restore: string[]
      exceptions: string[]
      at: number
    }
  | { type: 'StoreRestored'; generation: number; store: string; storeVersion: string }
  | { type: 'DrainingStarted'; generation: number; at: number }
  | { type: 'RevocationAnnounced'; generation: number; evidence: string[] }
  | { type: 'AuditAcknowledged'; generation: number }
  | { type: 'RevocationStarted'; generation: number; at: number }
  | { type: 'ProvingStarted'; generation: number; at: number }
  | { type: 'RefusalProbed'; generation: number; results: ProbeSeen[]; conclusive: boolean }
  | { type: 'StoreDestroyed'; generation: number; store: string }
  | { type: 'GenerationDead'; generation: number; exceptions: string[]; at: number }
  | { type: 'HoldPlaced'; hold: Hold }
  | { type: 'HoldLifted'; reason: Hold['reason']; about: string; because: string }
  | { type: 'RotationClosed'; outcome: Outcome; exceptions: string[] }
