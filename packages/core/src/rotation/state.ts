/**
 * A rotation is two small tracks and a gate.
 *
 * The SUCCESSOR track brings a new generation up; a RETIREMENT track takes one generation down, and there is one for
 * each generation that must die. The gate between them (gate.ts) is the only way to a revocation. The rules are
 * written out in docs/reference/rotation.md; read this file, then progress.ts, then the file of each track.
 *
 * This package has no I/O, no clock and no randomness: time, ids and jitter arrive as values. `decide` says what
 * happens now, `evolve` is the only writer of state, and the ledger stores both in one transaction.
 *
 * INBOUND: nodes verify the key, clients present it. So nodes learn to accept both generations first, then the stores
 * move and clients follow, then the nodes narrow. OUTBOUND: nodes present the key, an authority verifies it. So the
 * authority accepts both first, then the nodes move, then the stores, then the authority revokes.
 */

import type { WaveEntry } from './waves.ts'

/** How urgent it is, least first. It only grows, and only by a cause: a deadline never raises it. */
export const MODES = ['rotate', 'expedite', 'contain'] as const
export type Mode = (typeof MODES)[number]

export type Direction = 'inbound' | 'outbound'

/**
 * Who trusts what while the successor is at a step (inbound):
 *
 *  planned     nothing outside has changed. Causes still join this rotation.
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
 *  waiting     after a rollback: nodes and stores go back, nodes confirm what they fall back to.
 *  draining    until evidence says unused. The cap leads to a hold, never to a cut. Ends with the announced intent.
 *  suspending  outbound, where the authority can: refused, but reversible. The last cheap brake.
 *  revoking    the point of no return: nodes stop accepting it, or the authority ends it.
 *  proving     a prober with its own identity tries it at every endpoint; then the stores destroy it.
 *  dead        refused everywhere and destroyed.
 */
export type RetirementStep = 'waiting' | 'draining' | 'suspending' | 'revoking' | 'proving' | 'dead'

/** Which step may follow which; `evolve` is held to it by the simulation. */
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
  waiting: ['draining', 'revoking', 'proving'],
  draining: ['suspending', 'revoking'],
  suspending: ['revoking'],
  revoking: ['proving'],
  proving: ['dead'],
  dead: [],
} as const satisfies Record<RetirementStep, readonly RetirementStep[]>

/** What made a rotation: a change and the rule that named it, a leak report, a human's order, or the age of a value. */
export type Cause = {
  kind: 'change' | 'order' | 'leak' | 'schedule' | 'first-value'
  /** Who: an emitter's topic, an operator, or the service that looked. */
  actor: string
  /** The rule, for a change. */
  rule?: string
  /** Id of the event, for a change. */
  event?: string
  reason: string
  /** Where people speak about it, for an order. */
  ticket?: string
}

/** `replace`: a successor follows the base. `retire`: none does, and the credential ends. */
export type Goal = 'replace' | 'retire'

/** When routine rotations may start, in UTC. `to` before `from` goes over midnight. */
export type Window = {
  days: ('mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun')[]
  from: string
  to: string
}

/** What stops a routine rotation when nodes answer with errors, as their serving software counts them. */
export type Brake = {
  /** The share of requests, 0 to 1, beyond which it brakes. */
  share: number
  /** Of fewer requests in about the last half minute nothing is concluded. */
  requests: number
  /** How long the nodes of a wave are watched before the next one is told. */
  watchMs: number
  /** `rollback` where there is a way back; where there is none it holds. */
  action: 'rollback' | 'hold'
}

/** How a change of keys disturbs what a node serves, by the class of its adapter: `A` not at all, `E` by a restart. */
export type Disruption = 'A' | 'B' | 'C' | 'D' | 'E'

/** Frozen when the rotation opens, so that an edit of the configuration never changes one under way. */
export type Plan = {
  direction: Direction
  /** How many generations the authority can hold at once. */
  slots: 1 | 2
  /** Store names in the order in which they are promoted; the first one makes the value durable. */
  stores: string[]
  waves: WaveEntry[]
  /** The most nodes of one routine wave. */
  maxInFlight?: number
  /** A routine rotation that would disturb a node more is held before anything of it is made. */
  maxDisruption?: Disruption
  brake?: Brake
  /** Absent: what is not drained at the cap is held. `cut`: it is ended, whoever still uses it. */
  atDrainCap?: 'cut'
  windows: Window[]
  settleMs: number
  waveDeadlineMs: number
  quietMs: number
  readerCacheMs: number
  drainCapMs: number
  /** In `expedite` the drain is cut after this. */
  expediteDrainMs: number
  evidenceMs: number
  /** Who says whether a generation is still used: nodes by their counters (absent), or the authority by its sessions. */
  evidence?: 'observed'
  /** A provider makes the value: the authority accepts it from then on, and not only when it is asked to. */
  minted?: true
  /** How long a suspended generation soaks; null: the authority cannot suspend. */
  soakMs: number | null
  /** How long after its revocation the authority may still accept a generation. */
  refusalLagMs: number
  /** A rotation that is still open by then is held, so that a human hears of it. */
  overdueMs: number
  /**
   * The generation of which no value is made: it is in use already, by other hands than ours. So nothing gives it up but a
   * leak. Absent: every value is made.
   */
  adopts?: number
}

/** One desired state on its way to all nodes, wave by wave. */
export type Rollout = {
  purpose: 'widen' | 'confirm' | 'narrow' | 'back'
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
  /** The wave before is proved, and its nodes are watched until then; the next one is not told yet. */
  watchedUntil?: number
}

export type Nack = { node: string; reason: string; detail: string }

export type Successor = {
  generation: number
  step: SuccessorStep
  /** The settling time is over. */
  settled: boolean
  staged: string[]
  /** Outbound: the authority was asked to accept it, and does. */
  installAsked: boolean
  installed: boolean
  /** Stores with a promotion intent: each may have moved, so a rollback puts each of them back. */
  promoteAsked: string[]
  promoted: string[]
  waves: string[][]
  rollout: Rollout | null
  /** Somebody may have been told of it: nodes, or readers of a store. */
  shown: boolean
  /** Rounds of the baseline probe; `baselineDone` ends them. */
  baselineRounds: number
  baselineDone: boolean
  /** It was abandoned because it leaked: another one follows. */
  superseded: boolean
}

export type Retirement = {
  generation: number
  because: 'replaced' | 'abandoned' | 'contained' | 'already-dead' | 'offboarded'
  step: RetirementStep
  /** When `step` began, milliseconds since the epoch on the ledger's clock. */
  since: number
  /** Somebody may have used it: it is drained before it is revoked. */
  shown: boolean
  /** Somebody may accept it: it is revoked and proved. Otherwise it is only destroyed. */
  valid: boolean
  /** After a rollback: what nodes and stores go back to. Null: nothing, or not any more. */
  back: number | null
  /** Stores to put back on it before anything else. */
  restore: string[]
  restored: string[]
  /** Stores that must stop showing it at once (`contain`). */
  withdraw: string[]
  withdrawn: string[]
  rollout: Rollout | null
  /** The intent is in the journal, and the audit topic has acknowledged it. */
  announced: boolean
  /** Its drain was cut at the cap, so sessions that are left are ended with it. */
  cut?: true
  /** The epoch in which it was announced. */
  announcement: number
  acknowledged: boolean
  suspended: boolean
  /** Outbound: times that the authority was asked to revoke it, and did. */
  revokesAsked: number
  revokesDone: number
  /** Until then a worker whose lease was open at the revocation could still act on it. */
  lateUntil: number
  probesAsked: number
  probeRounds: number
  refused: boolean
  destroyed: string[]
  /** What could not be shown: never rounded up. */
  exceptions: string[]
}

/**
 * Why a rotation waits. A hold tells people; it stops nothing that can go on, but for `human`, `error_rate` and `disruptive`,
 * which stop a routine rotation. It ends by its own cause alone: the effect is done, the wave is proved, the drain or the refusal is shown,
 * or a human resumes.
 */
export type Hold = {
  reason:
    | 'wave_deadline'
    | 'drain_cap'
    | 'not_refused'
    | 'effect_failed'
    | 'effect_struggling'
    | 'no_slot'
    | 'overdue'
    | 'error_rate'
    | 'disruptive'
    | 'human'
  /** What it is about: the effect's key, `r<revision>` of a wave, `g<generation>`, or the rotation's id. */
  about: string
  detail: string
  at: number
  /** When it ends by itself, for a human's pause. Absent: it does not. */
  until?: number
}

export type Outcome = 'closed' | 'rolled-back' | 'cancelled'

/** A cause that waits for the rotation under way to end. */
export type FollowUp = { cause: Cause; goal: Goal }

export type Rotation = {
  /** Raised when an older release could not read it any more; see upcast.ts. */
  format: number
  id: string
  credential: string
  /** `keep`: a human called the offboarding off. */
  goal: Goal | 'keep'
  mode: Mode
  /** Moves when the plan changes (rollback, supersede); effects of an older epoch decide nothing. */
  epoch: number
  cause: Cause
  joined: Cause[]
  /** Routine causes that came after the value's intent: exactly one rotation follows for all of them. */
  followUp: FollowUp[]
  plan: Plan
  /** The generation in use when this one opened, or the last successor that went live; null: there is none. */
  base: number | null
  /** Generations that leaked. `contain` applies to them alone, and nothing goes back to one of them. */
  compromised: number[]
  /** When the stores last moved; null: not known. Routine promotions keep their distance to it. */
  movedAt: number | null
  /** Last revision of desired state given out for this credential. */
  revision: number
  /** Revision of the last confirmation: a proof below it was given before the stores moved and does not count. */
  confirmRevision: number
  successor: Successor | null
  retirements: Retirement[]
  /** A suspended generation that must be accepted again before anything else moves. */
  reinstate: number | null
  /** Open holds, oldest first. */
  holds: Hold[]
  /** A human let it go on though requests fail: it does not brake any more. */
  unbraked?: true
  /** A human let it go on though it disturbs nodes more than is allowed. */
  mayDisturb?: true
  outcome: Outcome | null
}

/** The release's format of a stored rotation. */
export const FORMAT = 2

/** Every rollout under way: the successor's, and each retirement's. */
export function rolloutsOf(rotation: Rotation): Rollout[] {
  return [rotation.successor, ...rotation.retirements].flatMap((track) =>
    track?.rollout ? [track.rollout] : [],
  )
}

export function retirementOf(rotation: Rotation, generation: number | null): Retirement | undefined {
  return rotation.retirements.find((r) => r.generation === generation)
}

/** Past the point of no return: nothing may go back to it. */
export function isDying(rotation: Rotation, generation: number | null): boolean {
  const step = retirementOf(rotation, generation)?.step
  return step === 'revoking' || step === 'proving' || step === 'dead'
}

export function isCompromised(rotation: Rotation, generation: number | null): boolean {
  return generation !== null && rotation.compromised.includes(generation)
}

/** The mode in which one generation dies: what did not leak is never contained. */
export function modeFor(rotation: Rotation, generation: number): Mode {
  return rotation.mode === 'contain' && !isCompromised(rotation, generation) ? 'expedite' : rotation.mode
}

/** Somebody may use the successor from here on, because nodes were told of it. */
export function isUp({ step }: Successor): boolean {
  return step === 'rolling' || step === 'promoting' || step === 'confirming' || step === 'live'
}
