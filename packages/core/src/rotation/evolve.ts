import type { RotationEvent, Wave } from './events.ts'
import { FORMAT, type Mode, type Retirement, type Rollout, type Rotation, type Successor } from './state.ts'

type Proved = Extract<RotationEvent, { type: 'WaveProved' }>

/** The only writer of state. `rotation` is undefined for the first event, `RotationOpened`. */
export function evolve(rotation: Rotation | undefined, event: RotationEvent): Rotation {
  if (event.type === 'RotationOpened') return opened(event)
  if (!rotation) throw new Error(`rotation-0001: the first event is ${event.type}, not RotationOpened`)
  switch (event.type) {
    case 'CauseJoined':
      return { ...rotation, joined: [...rotation.joined, event.cause] }
    case 'FollowUpNoted':
      return { ...rotation, followUp: [...rotation.followUp, { cause: event.cause, goal: event.goal }] }
    case 'ModeRaised':
      return hurried(rotation, event.mode)
    case 'GenerationsCompromised':
      return { ...rotation, compromised: [...rotation.compromised, ...event.generations] }
    case 'SuccessorPlanned':
      return { ...rotation, base: event.base, successor: planned(event.generation) }
    case 'Settled':
      return successor(rotation, { settled: true })
    case 'StagingStarted':
      return successor(rotation, { step: 'staging', waves: event.waves })
    case 'ValueStaged':
      return successor(rotation, (s) => ({ staged: with_(s.staged, event.store) }))
    case 'InstallAsked':
      return successor(rotation, { installAsked: true })
    case 'ValueInstalled':
      return successor(rotation, { installed: true })
    case 'RollingStarted':
      return successor(rotation, { step: 'rolling' })
    case 'WaveStarted':
      return waveStarted(rotation, event)
    case 'WaveProved':
      return onRollout(excepting(rotation, event), event.revision, (rollout) => ({
        ...rollout,
        wave: rollout.wave + 1,
        nacks: [],
        ...(event.watchedUntil !== undefined && { watchedUntil: event.watchedUntil }),
      }))
    case 'NodeNacked': {
      const { node, reason, detail } = event
      return onRollout(rotation, event.revision, (rollout) => ({
        ...rollout,
        nacks: [...rollout.nacks.filter((n) => n.node !== node), { node, reason, detail }],
      }))
    }
    case 'PromotionAsked':
      // Clients may present it from now on, whether or not a node was there to be told.
      return successor(rotation, (s) => ({
        step: 'promoting',
        shown: true,
        promoteAsked: with_(s.promoteAsked, event.store),
      }))
    case 'StorePromoted':
      return {
        ...successor(rotation, (s) => ({ promoted: with_(s.promoted, event.store) })),
        movedAt: event.at,
      }
    case 'ConfirmingStarted':
      return successor(rotation, { step: 'confirming', rollout: null })
    case 'BaselineProbed':
      return successor(rotation, (s) => ({
        baselineRounds: s.baselineRounds + 1,
        baselineDone: event.conclusive,
      }))
    case 'SuccessorLive':
      return successor(rotation, { step: 'live', rollout: null })
    case 'SuccessorAbandoned':
      // The base stays in use: a retirement of it that has not revoked anything yet is dropped.
      return {
        ...successor(rotation, { step: 'abandoned', rollout: null, superseded: event.superseded }),
        epoch: rotation.epoch + 1,
        retirements: rotation.retirements.filter((r) => !event.dropped.includes(r.generation)),
        reinstate: event.reinstate ?? rotation.reinstate,
      }
    case 'RetirementOpened':
      return { ...rotation, retirements: [...rotation.retirements, retired(event)] }
    case 'OffboardingCancelled':
      return {
        ...rotation,
        goal: 'keep',
        retirements: [],
        reinstate: event.reinstate ?? rotation.reinstate,
        epoch: rotation.epoch + 1,
      }
    case 'StoreRestored':
      return {
        ...retirement(rotation, event.generation, (r) => ({ restored: with_(r.restored, event.store) })),
        movedAt: event.at,
      }
    case 'Reinstated':
      return { ...rotation, reinstate: null }
    case 'DrainingStarted':
      return retirement(rotation, event.generation, (r) => ({
        step: 'draining',
        since: event.at,
        rollout: keptRollout(rotation, r),
      }))
    case 'RevocationAnnounced':
      return retirement(rotation, event.generation, () => ({
        announced: true,
        announcement: event.epoch,
        ...(event.cut && { cut: event.cut }),
      }))
    case 'AuditAcknowledged':
      return retirement(rotation, event.generation, () => ({ acknowledged: true }))
    case 'SuspensionStarted':
      return retirement(rotation, event.generation, () => ({ step: 'suspending', since: event.at }))
    case 'Suspended':
      return retirement(rotation, event.generation, () => ({ suspended: true, since: event.at }))
    case 'RevocationStarted':
      return {
        ...retirement(withoutWayBack(rotation, event.generation), event.generation, (r) => ({
          step: 'revoking',
          since: event.at,
          rollout: keptRollout(rotation, r),
          lateUntil: event.lateUntil,
          revokesAsked: event.revokes,
          withdraw: event.withdraw,
        })),
        reinstate: rotation.reinstate === event.generation ? null : rotation.reinstate,
      }
    case 'StoreWithdrawn':
      return {
        ...retirement(rotation, event.generation, (r) => ({ withdrawn: with_(r.withdrawn, event.store) })),
        movedAt: event.storeVersion === null ? rotation.movedAt : event.at,
      }
    case 'Revoked':
      return retirement(rotation, event.generation, (r) => ({
        revokesDone: Math.max(r.revokesDone, event.round + 1),
      }))
    case 'RevocationRepeated':
      return retirement(rotation, event.generation, () => ({ revokesAsked: event.round + 1 }))
    case 'ProvingStarted':
      return retirement(rotation, event.generation, () => ({
        step: 'proving',
        since: event.at,
        rollout: null,
      }))
    case 'ProbeAsked':
      return retirement(rotation, event.generation, () => ({ probesAsked: event.round + 1 }))
    case 'RefusalProbed':
      return retirement(rotation, event.generation, (r) => ({
        probeRounds: r.probeRounds + 1,
        refused: event.conclusive,
        // Where nothing else was there to be accepted, a refusal may be an outage: the outcome says so.
        exceptions:
          event.conclusive && event.results.some((seen) => seen.control === null)
            ? [...r.exceptions, 'no_control']
            : r.exceptions,
      }))
    case 'StoreDestroyed':
      return retirement(rotation, event.generation, (r) => ({ destroyed: with_(r.destroyed, event.store) }))
    case 'GenerationDead':
      return retirement(rotation, event.generation, () => ({ step: 'dead', since: event.at }))
    case 'HoldPlaced':
      return { ...rotation, holds: [...rotation.holds, event.hold] }
    case 'HoldLifted':
      return {
        ...rotation,
        holds: rotation.holds.filter((h) => h.reason !== event.reason || h.about !== event.about),
        ...(event.reason === 'error_rate' && { unbraked: true }),
        ...(event.reason === 'disruptive' && { mayDisturb: true }),
      }
    case 'RotationClosed':
      return { ...rotation, outcome: event.outcome, holds: [] }
    default:
      return event satisfies never
  }
}

export function evolveAll(
  rotation: Rotation | undefined,
  events: Iterable<RotationEvent>,
): Rotation | undefined {
  let state = rotation
  for (const event of events) state = evolve(state, event)
  return state
}

function opened(event: Extract<RotationEvent, { type: 'RotationOpened' }>): Rotation {
  const { id, credential, goal, mode, compromised, cause, plan, base, generation, revision, movedAt } = event
  return {
    format: FORMAT,
    id,
    credential,
    goal,
    mode,
    epoch: 1,
    cause,
    joined: [],
    followUp: [],
    plan,
    base,
    compromised,
    movedAt,
    revision,
    confirmRevision: 0,
    successor: generation === null ? null : planned(generation),
    retirements: [],
    reinstate: null,
    holds: [],
    outcome: null,
  }
}

function planned(generation: number): Successor {
  return {
    generation,
    step: 'planned',
    settled: false,
    staged: [],
    installAsked: false,
    installed: false,
    promoteAsked: [],
    promoted: [],
    waves: [],
    rollout: null,
    shown: false,
    baselineRounds: 0,
    baselineDone: false,
    superseded: false,
  }
}

function retired(event: Extract<RotationEvent, { type: 'RetirementOpened' }>): Retirement {
  const { generation, because, step, shown, valid, back, restore, exceptions, at } = event
  return {
    generation,
    because,
    step,
    since: at,
    shown,
    valid,
    back,
    restore,
    restored: [],
    withdraw: [],
    withdrawn: [],
    rollout: null,
    announced: false,
    announcement: 0,
    acknowledged: false,
    suspended: false,
    revokesAsked: 0,
    revokesDone: 0,
    lateUntil: 0,
    probesAsked: 0,
    probeRounds: 0,
    refused: false,
    destroyed: [],
    exceptions,
  }
}

/** Waves that were not told yet become one: what is urgent has no more canaries than the one under way. */
function hurried(rotation: Rotation, mode: Mode): Rotation {
  const merge = (rollout: Rollout | null): Rollout | null => {
    if (!rollout) return null
    const next = rollout.watchedUntil === undefined ? rollout.wave + 1 : rollout.wave
    const told = rollout.waves.slice(0, next)
    const rest = rollout.waves.slice(next).flat()
    return { ...rollout, waves: rest.length > 0 ? [...told, rest] : told }
  }
  return {
    ...rotation,
    mode,
    successor: rotation.successor && { ...rotation.successor, rollout: merge(rotation.successor.rollout) },
    retirements: rotation.retirements.map((r) => ({ ...r, rollout: merge(r.rollout) })),
  }
}

function waveStarted(rotation: Rotation, wave: Wave): Rotation {
  const rollout: Rollout = {
    purpose: wave.purpose,
    waves: wave.waves,
    wave: wave.wave,
    revision: wave.revision,
    accept: wave.accept,
    refuse: wave.refuse,
    floor: wave.floor,
    nacks: [],
  }
  const confirmRevision = wave.purpose === 'confirm' ? wave.revision : rotation.confirmRevision
  const moved = { ...rotation, revision: wave.revision, confirmRevision }
  return wave.of === undefined
    ? successor(moved, { rollout, shown: true })
    : retirement(moved, wave.of, () => ({ rollout }))
}

/** Inbound, narrowing is a rollout of its own. Outbound, nodes may still be on their way back. */
function keptRollout({ plan }: Rotation, { rollout }: Retirement): Rollout | null {
  return plan.direction === 'inbound' ? null : rollout
}

/** Nothing goes back to a generation that is being revoked. */
function withoutWayBack(rotation: Rotation, generation: number): Rotation {
  const lost = (r: Retirement) => r.back === generation
  return {
    ...rotation,
    retirements: rotation.retirements.map((r) => (lost(r) ? { ...r, back: null } : r)),
  }
}

/** A node that was excused from refusing a generation may accept it still: its death has that exception. */
function excepting(rotation: Rotation, { purpose, revision, excused }: Proved): Rotation {
  if (purpose !== 'narrow' || excused.length === 0) return rotation
  return {
    ...rotation,
    retirements: rotation.retirements.map((r) =>
      r.rollout?.revision === revision
        ? { ...r, exceptions: [...r.exceptions, ...excused.map((node) => `excused ${node}`)] }
        : r,
    ),
  }
}

function onRollout(rotation: Rotation, revision: number, change: (rollout: Rollout) => Rollout): Rotation {
  const of = (track: { rollout: Rollout | null }) =>
    track.rollout?.revision === revision ? { rollout: change(track.rollout) } : {}
  return {
    ...rotation,
    successor: rotation.successor && { ...rotation.successor, ...of(rotation.successor) },
    retirements: rotation.retirements.map((r) => ({ ...r, ...of(r) })),
  }
}

function successor(
  rotation: Rotation,
  change: Partial<Successor> | ((successor: Successor) => Partial<Successor>),
): Rotation {
  const now = rotation.successor
  if (!now) throw new Error(`rotation-0003: ${rotation.id} has no successor`)
  return { ...rotation, successor: { ...now, ...(typeof change === 'function' ? change(now) : change) } }
}

function retirement(
  rotation: Rotation,
  generation: number,
  change: (retirement: Retirement) => Partial<Retirement>,
): Rotation {
  return {
    ...rotation,
    retirements: rotation.retirements.map((r) => (r.generation === generation ? { ...r, ...change(r) } : r)),
  }
}

function with_(list: string[], item: string): string[] {
  return list.includes(item) ? list : [...list, item]
}
