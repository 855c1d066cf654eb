import type { RotationEvent, Wave } from './events.ts'
import type { Retirement, Rollout, Rotation, Successor } from './state.ts'

/** The only writer of state. `rotation` is undefined for the first event, `RotationOpened`. */
export function evolve(rotation: Rotation | undefined, event: RotationEvent): Rotation {
  if (event.type === 'RotationOpened') return opened(event)
  if (!rotation) throw new Error(`rotation-0001: the first event is ${event.type}, not RotationOpened`)
  switch (event.type) {
    case 'CauseJoined':
      return { ...rotation, joined: [...rotation.joined, event.cause] }
    case 'FollowUpNoted':
      return { ...rotation, followUp: [...rotation.followUp, event.cause] }
    case 'StagingStarted':
      return successor(rotation, { step: 'staging', waves: event.waves })
    case 'ValueStaged':
      return successor(rotation, { staged: with_(rotation.successor.staged, event.store) })
    case 'RollingStarted':
      return successor(rotation, { step: 'rolling' })
    case 'WaveStarted':
      return waveStarted(rotation, event)
    case 'WaveProved':
      return onRollout(rotation, event.revision, (rollout) => ({
        ...rollout,
        wave: rollout.wave + 1,
        nacks: [],
      }))
    case 'NodeNacked': {
      const { node, reason, detail } = event
      return onRollout(rotation, event.revision, (rollout) => ({
        ...rollout,
        nacks: [...rollout.nacks.filter((n) => n.node !== node), { node, reason, detail }],
      }))
    }
    case 'PromotionAsked':
      return successor(rotation, {
        step: 'promoting',
        // Clients may present it from now on, whether or not a node was there to be told.
        shown: true,
        promoteAsked: with_(rotation.successor.promoteAsked, event.store),
      })
    case 'StorePromoted':
      return successor(rotation, { promoted: with_(rotation.successor.promoted, event.store) })
    case 'ConfirmingStarted':
      return successor(rotation, { step: 'confirming', rollout: null })
    case 'BaselineProbed':
      return successor(rotation, {
        baselineRounds: rotation.successor.baselineRounds + 1,
        baselineDone: event.conclusive,
      })
    case 'SuccessorLive':
      return successor(rotation, { step: 'live', rollout: null })
    case 'SuccessorAbandoned':
      // The base stays in use: a retirement of it that has not revoked anything yet is dropped.
      return {
        ...successor(rotation, { step: 'abandoned', rollout: null }),
        epoch: rotation.epoch + 1,
        retirements: [],
      }
    case 'RetirementOpened': {
      const { generation, control, because, shown, restore, exceptions, at } = event
      const retirement: Retirement = {
        generation,
        control,
        because,
        step: 'waiting',
        since: at,
        shown,
        restore,
        restored: [],
        rollout: null,
        announced: false,
        acknowledged: false,
        probeRounds: 0,
        refused: false,
        destroyed: [],
        exceptions,
      }
      return { ...rotation, retirements: [...rotation.retirements, retirement] }
    }
    case 'StoreRestored':
      return retirement(rotation, event.generation, (r) => ({ restored: with_(r.restored, event.store) }))
    case 'DrainingStarted':
      return retirement(rotation, event.generation, () => ({
        step: 'draining',
        since: event.at,
        rollout: null,
      }))
    case 'RevocationAnnounced':
      return retirement(rotation, event.generation, () => ({ announced: true }))
    case 'AuditAcknowledged':
      return retirement(rotation, event.generation, () => ({ acknowledged: true }))
    case 'RevocationStarted':
      return retirement(rotation, event.generation, () => ({ step: 'revoking', since: event.at }))
    case 'ProvingStarted':
      return retirement(rotation, event.generation, () => ({
        step: 'proving',
        since: event.at,
        rollout: null,
      }))
    case 'RefusalProbed':
      return retirement(rotation, event.generation, (r) => ({
        probeRounds: r.probeRounds + 1,
        refused: event.conclusive,
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
  const { id, credential, mode, cause, plan, base, generation, revision } = event
  return {
    id,
    credential,
    mode,
    epoch: 1,
    cause,
    joined: [],
    followUp: [],
    plan,
    base,
    revision,
    confirmRevision: 0,
    successor: {
      generation,
      step: 'planned',
      staged: [],
      promoteAsked: [],
      promoted: [],
      waves: [],
      rollout: null,
      shown: false,
      baselineRounds: 0,
      baselineDone: false,
    },
    retirements: [],
    holds: [],
    outcome: null,
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

function onRollout(rotation: Rotation, revision: number, change: (rollout: Rollout) => Rollout): Rotation {
  const of = (track: { rollout: Rollout | null }) =>
    track.rollout?.revision === revision ? { rollout: change(track.rollout) } : {}
  return {
    ...rotation,
    successor: { ...rotation.successor, ...of(rotation.successor) },
    retirements: rotation.retirements.map((r) => ({ ...r, ...of(r) })),
  }
}

function successor(rotation: Rotation, change: Partial<Successor>): Rotation {
  return { ...rotation, successor: { ...rotation.successor, ...change } }
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
