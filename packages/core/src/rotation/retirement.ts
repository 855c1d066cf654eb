import { destroyEverywhere, drainLook, restore, suspend } from './asks.ts'
import { gate, isCut, undrained } from './gate.ts'
import type { Facts, Member } from './inputs.ts'
import { askProbe } from './probing.ts'
import { everybody, type Move, nextWave, startWave } from './rollout.ts'
import { modeFor, type Retirement, type Rotation, retirementOf } from './state.ts'
import { isBack, startRevocation, withoutBaseline } from './takeover.ts'
import { isToCome } from './to-come.ts'
import { inParts } from './waves.ts'

/** How soon to look at the drain again. */
const LOOK_AGAIN_MS = 500

export function retirementMove(rotation: Rotation, facts: Facts): Move | undefined {
  const opened = openBase(rotation, facts)
  if (opened) return opened
  for (const retirement of rotation.retirements) {
    const move = retire(rotation, retirement, facts)
    if (move) return move
  }
  return undefined
}

/** The base is retired once its successor is live, or at once where none will follow. */
function openBase(rotation: Rotation, facts: Facts): Move | undefined {
  const { successor, base, goal } = rotation
  if (base === null || goal === 'keep' || retirementOf(rotation, base)) return undefined
  if (goal === 'replace' && successor?.step !== 'live') return undefined
  return {
    events: [
      {
        type: 'RetirementOpened',
        generation: base,
        because: goal === 'retire' ? 'offboarded' : 'replaced',
        step: 'waiting',
        shown: true,
        valid: true,
        back: null,
        restore: [],
        exceptions: goal === 'retire' ? [] : withoutBaseline(successor),
        at: facts.now,
      },
    ],
    effects: [],
  }
}

function retire(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  switch (retirement.step) {
    case 'waiting':
      return waiting(rotation, retirement, facts)
    case 'draining':
      return draining(rotation, retirement, facts)
    case 'suspending':
      return suspending(rotation, retirement, facts)
    case 'revoking':
      return revoking(rotation, retirement, facts)
    case 'proving':
      return proving(rotation, retirement, facts)
    case 'dead':
      return undefined
    default:
      return retirement.step satisfies never
  }
}

function waiting(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation, shown, valid } = retirement
  const at = facts.now
  if (!valid) {
    if (!isBack(retirement)) return undefined
    const effects = destroyEverywhere(rotation, generation, at)
    return { events: [{ type: 'ProvingStarted', generation, at }], effects }
  }
  // Nobody can use it, so nobody has to stop.
  if (!shown) return startRevocation(rotation, retirement, facts)
  const back = goBack(rotation, retirement, facts)
  if (back !== 'done') return back
  return {
    events: [{ type: 'DrainingStarted', generation, at }],
    effects: [drainLook(rotation, generation, at)],
  }
}

/** When the drain is looked at again: soon, and in an emergency no later than its bound. */
export function nextLook(rotation: Rotation, { generation, since }: Retirement, now: number): number {
  const bound = since + rotation.plan.expediteDrainMs
  const isBounded = modeFor(rotation, generation) !== 'rotate' && bound > now
  return isBounded ? Math.min(now + LOOK_AGAIN_MS, bound) : now + LOOK_AGAIN_MS
}

/**
 * After a rollback. Inbound: the stores go back (asked with the abandoning), then every node confirms what clients
 * come back to. Outbound: nodes go back first, because a restarted one boots what the stores show; then the stores;
 * then every node confirms.
 */
function goBack(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined | 'done' {
  const { generation, because, back, shown, rollout } = retirement
  const isOutbound = rotation.plan.direction === 'outbound'
  // With nothing to go back to, and nothing to come, nodes are told to present nothing.
  const letGo = isOutbound && shown && because === 'abandoned' && !isToCome(rotation)
  if (back === null && !letGo) return 'done'
  if (isOutbound && shown && !rollout)
    return startWave(rotation, facts, { purpose: 'back', of: generation }, [everybody(facts)], 0)
  if (rollout?.purpose === 'back' && rollout.wave < rollout.waves.length) {
    const proved = nextWave(rotation, rollout, facts, { purpose: 'back', of: generation })
    if (!proved || back === null) return proved
    const stores = retirement.restore.map((store) => restore(rotation, generation, back, store, facts.now))
    return { events: proved.events, effects: [...proved.effects, ...stores] }
  }
  if (!isBack(retirement)) return undefined
  if (retirement.restore.length === 0) return 'done'
  if (rollout?.purpose !== 'confirm')
    return startWave(rotation, facts, { purpose: 'confirm', of: generation }, [everybody(facts)], 0)
  if (rollout.wave < rollout.waves.length)
    return nextWave(rotation, rollout, facts, { purpose: 'confirm', of: generation })
  return 'done'
}

/** Drained → announce the intent → the audit topic acknowledges → the gate. The look timer asks again and again. */
function draining(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation } = retirement
  if (!retirement.announced) {
    if (undrained(rotation, retirement, facts).length > 0) return undefined
    const isEnded = isCut(rotation, retirement, facts)
    const about = (m: Member) => (m.excused ? 'excused' : isEnded ? 'cut' : 'unused')
    const evidence =
      rotation.plan.evidence === 'observed'
        ? [`authority: ${isEnded ? 'cut' : 'no use seen'}`]
        : facts.members.map((m) => `${m.node}: ${about(m)}`)
    const cut = isEnded && modeFor(rotation, generation) === 'rotate' ? ({ cut: true } as const) : {}
    return {
      events: [{ type: 'RevocationAnnounced', generation, epoch: rotation.epoch, evidence, ...cut }],
      effects: [],
    }
  }
  if (gate(rotation, retirement, facts).length > 0) return undefined
  const suspends = rotation.plan.soakMs !== null && modeFor(rotation, generation) === 'rotate'
  if (!suspends) return startRevocation(rotation, retirement, facts)
  return {
    events: [{ type: 'SuspensionStarted', generation, at: facts.now }],
    effects: [suspend(rotation, generation, facts.now)],
  }
}

/** Refused, but reversible, while it soaks; then the gate once more. An emergency does not soak. */
function suspending(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation, suspended, since } = retirement
  const soaked = suspended && facts.now >= since + (rotation.plan.soakMs ?? 0)
  if (!soaked && modeFor(rotation, generation) === 'rotate') return undefined
  if (gate(rotation, retirement, facts).length > 0) return undefined
  return startRevocation(rotation, retirement, facts)
}

/** The waves of the widening again, with who is here now: whoever joined later goes with the last one. */
function rewave(rotation: Rotation, generation: number, facts: Facts): string[][] {
  if (modeFor(rotation, generation) === 'contain')
    return [everybody(facts)].filter((nodes) => nodes.length > 0)
  const here = new Set(everybody(facts))
  const waves = (rotation.successor?.waves ?? []).map((nodes) => nodes.filter((node) => here.delete(node)))
  const last = waves.pop() ?? []
  const most = modeFor(rotation, generation) === 'rotate' ? rotation.plan.maxInFlight : undefined
  return inParts([...waves, [...last, ...here]], most)
}

function revoking(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation, because, revokesAsked, revokesDone } = retirement
  // Outbound, nodes have moved on long ago, but for those that are on their way back, or have nothing to move on to.
  const narrows = rotation.plan.direction === 'inbound' || because === 'offboarded'
  const moved = narrows ? narrow(rotation, retirement, facts) : goBack(rotation, retirement, facts)
  if (moved !== 'done') return moved
  if (revokesDone < revokesAsked) return undefined
  return { events: [{ type: 'ProvingStarted', generation, at: facts.now }], effects: [] }
}

function narrow(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined | 'done' {
  const { generation, rollout } = retirement
  const track = { purpose: 'narrow', of: generation } as const
  if (!rollout) {
    const waves = rewave(rotation, generation, facts)
    return waves.length > 0 ? startWave(rotation, facts, track, waves, 0) : 'done'
  }
  return rollout.wave < rollout.waves.length ? nextWave(rotation, rollout, facts, track) : 'done'
}

function proving(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation, valid, refused, destroyed, exceptions, withdraw, withdrawn } = retirement
  if (valid && !refused) return askProbe(rotation, retirement, facts)
  const stores = rotation.plan.stores.length
  if (destroyed.length < stores || withdrawn.length < withdraw.length || !isBack(retirement)) return undefined
  return { events: [{ type: 'GenerationDead', generation, exceptions, at: facts.now }], effects: [] }
}
