/**
 * A rotation is two small tracks and a gate.
 *
 * The SUCCESSOR track brings a new generation up; a RETIREMENT track takes one generation down, and there is one for
 * each generation that must die. The gate between them (gate.ts) is the only way to a revocation.
 *
 * This package has no I/O, no clock and no randomness: time, ids and jitter arrive as values. `decide` says what
 * happens now, `evolve` is the only writer of state, and the ledger stores both in one transaction.
 *
 * Everything here is for INBOUND credentials: the nodes verify the key, clients present it. So the nodes learn to
 * accept both generations first, then the stores move and clients follow, then the nodes narrow to the new one.
 */

/**
 * Who trusts what while the successor is at a step (inbound):
 *
 *  planned     waves frozen; nothing outside has changed. Later causes still join this rotation.
 *  staging     the value is being put into every store as pending. Nodes accept old, clients present old.
 *  rolling     wave by wave, nodes learn to accept both. Clients present old. Rolling back costs nothing.
 *  promoting   the stores' current label is moving, one store after the other; clients start to follow.
 *  confirming  every node proves again that it accepts both, because one that restarted before the promotion may
 *              have booted with the old value only; the prober records that the old value was still accepted.
 *  live        both accepted, clients on new. The base may be retired.
 *  abandoned   it will never be used; its own retirement is open.
 */
export type SuccessorStep =
  | 'planned'
  | 'staging'
  | 'rolling'
  | 'promoting'
  | 'confirming'
  | 'live'
  | 'abandoned'

/**
 *  waiting   stores that may have moved are put back (rollback only), nodes confirm what they fall back to.
 *  draining  until evidence says unused. The cap leads to a hold, never to a cut. Ends with the announced intent.
 *  revoking  the point of no return: nodes stop accepting, wave by wave.
 *  proving   a prober with its own identity tries the old value at every endpoint; then the stores destroy it.
 *  dead      refused everywhere and destroyed; its fingerprint stays for ever.
 *
 * `suspending` of the design is absent: it needs an authority that can refuse reversibly, and nodes cannot.
 */
export type RetirementStep = 'waiting' | 'draining' | 'revoking' | 'proving' | 'dead'

/** Which step may follow which; random walks in the tests hold `evolve` to it. */
export const MAY_FOLLOW = {
  planned: ['staging', 'abandoned'],
  staging: ['rolling', 'abandoned'],
  rolling: ['promoting', 'abandoned'],
  promoting: ['confirming', 'abandoned'],
  confirming: ['live', 'abandoned'],
  live: ['abandoned'],
  abandoned: [],
} as const satisfies Record<SuccessorStep, readonly SuccessorStep[]>

export const RETIREMENT_MAY_FOLLOW = {
  waiting: ['draining', 'proving'],
  draining: ['revoking'],
  revoking: ['proving'],
  proving: ['dead'],
  dead: [],
} as const satisfies Record<RetirementStep, readonly RetirementStep[]>

/** What made a rotation: a change and the rule that named it, or a human's order. */
export type Cause = {
  kind: 'change' | 'order' | 'first-value'
  /** Who: an emitter's topic, or an operator. */
  actor: string
  /** The rule, for a change. */
  rule?: string
  /** Id of the event, for a change. */
  event?: string
  reason: string
}

/** Frozen when the rotation opens, so that an edit of the configuration never changes one under way. */
export type Plan = {
  /** Store names in the order in which they are promoted; the first one makes the value durable. */
  stores: string[]
  waves: (number | string)[]
  settleMs: number
  waveDeadlineMs: number
  quietMs: number
  readerCacheMs: number
  drainCapMs: number
  evidenceMs: number
  /** A rotation that is still open by then is held, so that a human hears of it. */
  overdueMs: number
}

/** One desired state on its way to all nodes, wave by wave. */
export type Rollout = {
  purpose: 'widen' | 'confirm' | 'narrow'
  /** Frozen sets of node names. */
  waves: string[][]
  /** Index of the wave under way; equals `waves.length` when all are proved. */
  wave: number
  /** Revision of the wave under way; acknowledgements below it do not count. */
  revision: number
  accept: number[]
  refuse: number[]
  floor: number
  /** What nodes of this wave said when they could not take it. */
  nacks: Nack[]
}

export type Nack = { node: string; reason: string; detail: string }

export type Successor = {
  generation: number
  step: SuccessorStep
  staged: string[]
  /** Stores with a promotion intent: each may have moved, so a rollback puts each of them back. */
  promoteAsked: string[]
  promoted: string[]
  waves: string[][]
  rollout: Rollout | null
  /** Some node may have been told to accept it. */
  shown: boolean
  /** Rounds of the baseline probe; `baselineDone` ends them. */
  baselineRounds: number
  baselineDone: boolean
}

export type Retirement = {
  generation: number
  /** What must go on being accepted meanwhile: the control of every probe. Null: there is no other generation. */
  control: number | null
  because: 'replaced' | 'abandoned'
  step: RetirementStep
  /** When `step` began, milliseconds since the epoch on the ledger's clock. */
  since: number
  /** False: no node was ever told to accept it, so there is nothing to drain, narrow or prove. */
  shown: boolean
  /** Stores to put back before anything else. */
  restore: string[]
  restored: string[]
  rollout: Rollout | null
  /** The intent is in the journal, and the audit topic has acknowledged it. */
  announced: boolean
  acknowledged: boolean
  probeRounds: number
  refused: boolean
  destroyed: string[]
  /** What could not be shown: never rounded up. */
  exceptions: string[]
}

/**
 * Why a rotation waits. A hold tells people; it stops nothing that can go on. It ends by its own cause alone: the
 * effect is done, the wave is proved, the drain or the refusal is shown, or a human resumes.
 */
export type Hold = {
  reason: 'wave_deadline' | 'drain_cap' | 'not_refused' | 'effect_failed' | 'effect_struggling' | 'overdue'
  /** What it is about: the effect's key, `r<revision>` of a wave, `g<generation>`, or the rotation's id. */
  about: string
  detail: string
  at: number
}

export type Outcome = 'closed' | 'rolled-back'

export type Rotation = {
  id: string
  credential: string
  mode: 'rotate'
  /** Moves when the plan changes (rollback); effects and outcomes of an older epoch decide nothing. */
  epoch: number
  cause: Cause
  joined: Cause[]
  /** Causes that came after the value's intent: exactly one rotation follows for all of them. */
  followUp: Cause[]
  plan: Plan
  /** The generation in use when this one opened; null for a credential's first value. */
  base: number | null
  /** Last revision of desired state given out for this credential. */
  revision: number
  /** Revision of the last confirmation: a proof below it was given before the stores moved and does not count. */
  confirmRevision: number
  successor: Successor
  retirements: Retirement[]
  /** Open holds, oldest first. */
  holds: Hold[]
  outcome: Outcome | null
}

/** Every rollout under way: the successor's, and each retirement's. */
export function rolloutsOf(rotation: Rotation): Rollout[] {
  return [rotation.successor, ...rotation.retirements].flatMap((track) =>
    track.rollout ? [track.rollout] : [],
  )
}
