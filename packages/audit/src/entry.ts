import type { Verdict } from '@rekey/contracts'
import type { FoundVerdict, Mode, RotationEvent } from '@rekey/core'

/** A journal entry with what is known of its subject, as the ledger hands it to the auditor. */
export type AuditableEntry = {
  position: number
  stream: string
  seq: number
  type: string
  data: Record<string, unknown>
  actor: string
  /** ISO 8601. */
  at: string
  /** `mode` is what it is now: for an ended rotation, what it ended in. */
  rotation?: { id: string; credential: string; phase?: string; mode?: Mode }
  credential?: { name: string; owner: string; environment: string; workload: string; spiffeId: string }
}

/** Everything that the journal holds beside rotations. */
export type LedgerEvent =
  | ({ type: 'EventJudged' } & Verdict)
  | { type: 'EventConflicted'; source: string; id: string; digest: string; first: string }
  | {
      type: 'ConfigurationChanged'
      kind: string
      name: string
      action: 'create' | 'update'
      fields: string[]
    }
  | { type: 'JoinTokenMade'; node: string; workload: string }
  | { type: 'NodeEnrolled'; node: string; workload: string }
  | { type: 'NodeGone'; node: string; reason: string }
  | { type: 'NodeExcused'; node: string; credentials: string[]; reason: string; until: string }
  | { type: 'RecoveryStarted'; recovery: string; reason: string; credentials: string[]; rotations: string[] }
  | {
      type: 'CredentialInspected'
      recovery: string
      credential: string
      verdict: FoundVerdict
      stores: { store: string; current: number | null }[]
      generations: { generation: number; tried: string }[]
    }
  | {
      type: 'CredentialReleased'
      recovery: string
      credential: string
      generation: number | null
      rotation: string | null
      /** A human said what is current, because the stores did not. */
      chosen: boolean
      /** How many credentials are still held. */
      left: number
    }
  | { type: 'Paused'; credentials: string[]; until: string; reason: string }
  | { type: 'PauseEnded'; credentials: string[]; reason: string }
  | {
      type: 'NotificationFailed'
      owner: string
      target: string
      rotation: string
      attempt: number
      /** Nobody tries any more. */
      gaveUp: boolean
      error: string
    }
  | {
      /** Null: several requests of several, which were not written down one by one. */
      type: 'RequestDenied'
      principal: { type: string; id: string } | null
      action: string | null
      resource: { type: string; id: string } | null
      /** Which policies decided; none: no policy permits it. */
      policies: string[]
      errors: string[]
      /** Of the policies that were asked. */
      digest: string
      /** How many requests it stands for. */
      times: number
    }
  | { type: 'PoliciesLoaded'; digest: string; policies: string[] }
  | { type: 'AuditHeartbeat'; intervalMs: number }

export type JournalEvent = RotationEvent | LedgerEvent
