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
  /** `svid`: the SPIFFE ID of the certificate that it came with. Absent: it came with a join token. */
  | { type: 'NodeEnrolled'; node: string; workload: string; svid?: string }
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
  | {
      type: 'ApprovalAsked'
      approval: string
      action: string
      resource: { type: string; id?: string }
      /** Of how many nodes. */
      blastRadius: number
      reason: string
      ticket: string | null
      expiresAt: string
    }
  | {
      type: 'ApprovalGiven'
      approval: string
      requester: string
      action: string
      resource: { type: string; id?: string }
      reason: string
    }
  | { type: 'BreakGlassOpened'; token: string; person: string; endsAt: string }
  | {
      type: 'BreakGlassUsed'
      use: string
      token: string
      person: string
      action: string
      resource: { type: string; id: string }
      reason: string | null
      ticket: string | null
      address: string
      /** When it was used, by control's clock: the entry may come later. */
      at: string
      /** As HTTP has it; null: control stopped before it could answer. */
      status: number | null
    }
  | {
      /** Who wants the value in use taken over, and why; the rotation's own entries say what became of it. */
      type: 'AdoptionOrdered'
      credential: string
      generation: number
      rotation: string
      reason: string
      ticket: string | null
    }
  | { type: 'PoliciesLoaded'; digest: string; policies: string[] }
  | {
      /** Somebody presented a key that is proved dead; it was refused. */
      type: 'DeadKeyUsed'
      credential: string
      generation: number
      keyId: string
      /** In which it died. */
      rotation: string | null
      /** Null: several, which were not written down one by one. */
      address: string | null
      /** The declared client there; null: none is. */
      client: string | null
      /** Whether clients are declared at all. */
      declared: boolean
      /** How many requests this entry stands for. */
      requests: number
      /** All from there since its death. */
      total: number
      /** From how many addresses. */
      addresses: number
      /** There are more addresses than are listed, and not counted. */
      unlisted: boolean
      nodes: string[]
      firstAt: string
      lastAt: string
    }
  | {
      /** Readers of these stores get what Rekey did not write. */
      type: 'DriftFound'
      credential: string
      drift: number
      generation: number
      stores: {
        store: string
        kind: 'foreign' | 'other-generation' | 'rewritten' | 'missing'
        /** Versions: what Rekey wrote last, and what is there instead. */
        governed: string
        seen: string | null
        /** Of which generation that value is, where it is one of the credential's. */
        shows: number | null
      }[]
      /** It was known, and is another one by now. */
      again: boolean
    }
  | {
      type: 'DriftSettlementOrdered'
      credential: string
      drift: number
      generation: number
      /** Which replaces what is there. */
      rotation: string
      reason: string
      ticket: string | null
    }
  | {
      type: 'DriftSettled'
      credential: string
      drift: number
      how: 'rotated' | 'offboarded' | 'restored'
      generation: number | null
      rotation: string | null
    }
  | { type: 'AuditHeartbeat'; intervalMs: number }

export type JournalEvent = RotationEvent | LedgerEvent
