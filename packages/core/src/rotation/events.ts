import type { Cause, FollowUp, Goal, Hold, Mode, Nack, Outcome, Plan, Retirement, Rollout } from './state.ts'

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
  purpose: Rollout['purpose']
  /** All waves of this rollout. */
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
      goal: Goal
      mode: Mode
      compromised: number[]
      cause: Cause
      plan: Plan
      base: number | null
      /** Null where the goal is to retire. */
      generation: number | null
      revision: number
      movedAt: number | null
    }
  | { type: 'CauseJoined'; cause: Cause }
  | ({ type: 'FollowUpNoted' } & FollowUp)
  | { type: 'ModeRaised'; mode: Mode; because: string }
  | { type: 'GenerationsCompromised'; generations: number[]; actor: string; reason: string }
  | { type: 'SuccessorPlanned'; generation: number; base: number | null }
  | { type: 'Settled'; generation: number }
  | { type: 'StagingStarted'; generation: number; waves: string[][] }
  | ({ type: 'ValueStaged'; generation: number } & Staged)
  | { type: 'InstallAsked'; generation: number }
  | { type: 'ValueInstalled'; generation: number }
  | { type: 'RollingStarted'; generation: number }
  | ({ type: 'WaveStarted' } & Wave)
  | {
      type: 'WaveProved'
      purpose: Wave['purpose']
      wave: number
      revision: number
      nodes: string[]
      excused: string[]
      /** Lost nodes that a containment did not wait for. */
      lost: string[]
      /** Its nodes are watched until then, before the next wave is told. */
      watchedUntil?: number
    }
  | ({ type: 'NodeNacked'; revision: number; generation: number | null } & Nack)
  | { type: 'PromotionAsked'; generation: number; store: string }
  | { type: 'StorePromoted'; generation: number; store: string; storeVersion: string; at: number }
  | { type: 'ConfirmingStarted'; generation: number }
  | { type: 'BaselineProbed'; generation: number; results: ProbeSeen[]; conclusive: boolean }
  | { type: 'SuccessorLive'; generation: number }
  | {
      type: 'SuccessorAbandoned'
      generation: number
      reason: string
      actor: string
      superseded: boolean
      /** Retirements that end here because their generation stays in use. */
      dropped: number[]
      /** A suspended generation that must be accepted again first. */
      reinstate: number | null
    }
  | ({ type: 'RetirementOpened'; at: number } & Pick<
      Retirement,
      'generation' | 'because' | 'step' | 'shown' | 'valid' | 'back' | 'restore' | 'exceptions'
    >)
  /** An offboarding was called off. */
  | {
      type: 'OffboardingCancelled'
      generation: number
      reason: string
      actor: string
      reinstate: number | null
    }
  | { type: 'StoreRestored'; generation: number; store: string; storeVersion: string; at: number }
  | { type: 'Reinstated'; generation: number }
  | { type: 'DrainingStarted'; generation: number; at: number }
  | { type: 'RevocationAnnounced'; generation: number; epoch: number; evidence: string[]; cut?: true }
  | { type: 'AuditAcknowledged'; generation: number }
  | { type: 'SuspensionStarted'; generation: number; at: number }
  | { type: 'Suspended'; generation: number; at: number }
  | {
      type: 'RevocationStarted'
      generation: number
      mode: Mode
      at: number
      /** Until then a worker that held a lease could still act on it. */
      lateUntil: number
      /** Outbound: how often the authority is asked. */
      revokes: number
      /** Stores that must stop showing it. */
      withdraw: string[]
    }
  | { type: 'StoreWithdrawn'; generation: number; store: string; storeVersion: string | null; at: number }
  | { type: 'Revoked'; generation: number; round: number }
  | { type: 'ProvingStarted'; generation: number; at: number }
  | { type: 'ProbeAsked'; generation: number; round: number }
  | { type: 'RefusalProbed'; generation: number; results: ProbeSeen[]; conclusive: boolean }
  /** Outbound: the authority accepts it still, or again, so it is asked once more. */
  | { type: 'RevocationRepeated'; generation: number; round: number }
  | { type: 'StoreDestroyed'; generation: number; store: string }
  | { type: 'GenerationDead'; generation: number; exceptions: string[]; at: number }
  | { type: 'HoldPlaced'; hold: Hold }
  | { type: 'HoldLifted'; reason: Hold['reason']; about: string; because: string }
  | { type: 'RotationClosed'; outcome: Outcome; exceptions: string[] }
