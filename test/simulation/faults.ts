import type { EffectKind, RetirementStep, SuccessorStep } from '@rekey/core'

/** The moments of an act at which a worker can be cut off or stopped. */
export const ACT_POINTS = ['leased', 'sending', 'answered', 'acted', 'recorded'] as const
export type ActPoint = (typeof ACT_POINTS)[number]

/** Where a rotation can be; the two tracks share no word. */
export type Step = SuccessorStep | Exclude<RetirementStep, 'dead'>

/** At a time, or when a rotation comes to a step after it; `plus` later then. */
export type When = { at: number; on?: Step; plus?: number }

/** What a fault of a certain stretch of time does, and to whom. Times are simulated milliseconds. */
export type Fault = When & { ms: number } & (
    | { kind: 'partition' | 'slow' | 'reorder' | 'double' | 'cut'; node: string }
    /** The server takes the request and its answer is lost. */
    | { kind: 'ambiguous' | 'throttle' | 'down'; server: string }
    /** Reads show what was so a while ago. */
    | { kind: 'stale-reads'; server: string; lagMs: number }
    /** The authority accepts for longer than it declares. */
    | { kind: 'provider-lag' }
    | { kind: 'redis-flush' | 'redis-down' }
    | { kind: 'kafka-reset' | 'audit-down' }
    /** The ledger's clock moves on by `ms` at once. */
    | { kind: 'clock-jump' }
    | { kind: 'worker-clock'; worker: number; rate: number }
    | { kind: 'restart-agent' | 'reboot' | 'lose-node' | 'leave' | 'wipe'; node: string }
    | { kind: 'crash-fleet'; fleet: number }
    | { kind: 'crash-conductor'; conductor: number }
    | { kind: 'crash-intake' | 'crash-auditor' }
    /** A worker cannot reach the ledger, or does not hear its answer. */
    | { kind: 'ledger-away' | 'ledger-ambiguous'; worker: number }
    /** The worker is killed, or stands still for `ms`, at the nth such moment after `at`. */
    | { kind: 'crash' | 'pause'; effect: EffectKind; point: ActPoint; nth: number }
  )

export type FaultKind = Fault['kind']

export const FAULT_KINDS = [
  'partition',
  'slow',
  'reorder',
  'double',
  'cut',
  'ambiguous',
  'throttle',
  'down',
  'stale-reads',
  'provider-lag',
  'redis-flush',
  'redis-down',
  'kafka-reset',
  'audit-down',
  'clock-jump',
  'worker-clock',
  'restart-agent',
  'reboot',
  'lose-node',
  'leave',
  'wipe',
  'crash-fleet',
  'crash-conductor',
  'crash-intake',
  'crash-auditor',
  'ledger-away',
  'ledger-ambiguous',
  'crash',
  'pause',
] as const satisfies FaultKind[]
