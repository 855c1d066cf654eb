import { deliver, lookAt, waveDeadline } from './asks.ts'
import { desired } from './desired.ts'
import type { Effect } from './effects.ts'
import type { RotationEvent, Wave } from './events.ts'
import type { Facts, Member } from './inputs.ts'
import { isDying, type Rollout, type Rotation } from './state.ts'

/** One move, or undefined: nothing can move until something else happens. */
export type Move = { events: RotationEvent[]; effects: Effect[] }

/** Which track's rollout it is: the successor's, or the retirement of a generation. */
export type Track = { purpose: Wave['purpose']; of: number | 'successor' }

const generationOf = ({ successor }: Rotation, { of }: Track): number =>
  of === 'successor' ? (successor?.generation ?? 0) : of

/** Tells a wave of nodes what they shall hold now. */
export function startWave(
  rotation: Rotation,
  facts: Facts,
  track: Track,
  waves: string[][],
  wave: number,
): Move {
  const nodes = waves[wave] ?? []
  const revision = rotation.revision + 1
  const whose =
    track.of === 'successor'
      ? ({ track: 'successor' } as const)
      : ({ track: 'retirement', of: track.of } as const)
  const event: RotationEvent = {
    type: 'WaveStarted',
    ...whose,
    purpose: track.purpose,
    waves,
    wave,
    nodes,
    revision,
    ...desired(rotation, null),
  }
  const of = generationOf(rotation, track)
  const effects = [
    deliver(rotation, of, revision, nodes, facts.now),
    waveDeadline(rotation, of, revision, facts.now),
  ]
  return { events: [event], effects: nodes.length > 0 ? effects : [] }
}

/** The wave under way is proved: on to the next one, or to the end of the rollout. */
export function nextWave(rotation: Rotation, rollout: Rollout, facts: Facts, track: Track): Move | undefined {
  const { purpose, wave, revision, waves } = rollout
  // The one before is proved, and was watched.
  if (rollout.watchedUntil !== undefined)
    return isWatched(rotation, rollout, facts) ? undefined : startWave(rotation, facts, track, waves, wave)
  const nodes = waves[wave] ?? []
  const { missing, excused, lost } = standing(rotation, rollout, facts.members)
  if (missing.length > 0) return undefined
  const proved = nodes.filter((node) => !excused.includes(node) && !lost.includes(node))
  const watchMs = watchMsOf(rotation, rollout)
  const watched = watchMs > 0 ? { watchedUntil: facts.now + watchMs } : {}
  const events: RotationEvent[] = [
    { type: 'WaveProved', purpose, wave, revision, nodes: proved, excused, lost, ...watched },
  ]
  if (watched.watchedUntil !== undefined) {
    const of = generationOf(rotation, track)
    return { events, effects: [lookAt(rotation, of, `watch-r${revision}`, watched.watchedUntil)] }
  }
  if (wave + 1 >= waves.length) return { events, effects: [] }
  const started = startWave(rotation, facts, track, waves, wave + 1)
  return { events: [...events, ...started.events], effects: started.effects }
}

/** How long the nodes of a wave are watched: those that were told something new, where there is more to come after them. */
function watchMsOf({ mode, plan, successor, unbraked }: Rotation, { purpose, wave, waves }: Rollout): number {
  const isFollowed = purpose === 'widen' || (purpose === 'narrow' && wave + 1 < waves.length)
  // What was given up ends without delay.
  const isOnItsWay = successor !== null && successor.step !== 'abandoned'
  if (mode !== 'rotate' || !plan.brake || unbraked || !isFollowed || !isOnItsWay) return 0
  // Nodes that come back again and again are not watched each time.
  const known = new Set(waves.slice(0, wave).flat())
  return waves[wave]?.every((node) => known.has(node)) ? 0 : plan.brake.watchMs
}

/** An emergency watches nobody. */
export function isWatched({ mode }: Rotation, { watchedUntil = 0 }: Rollout, { now }: Facts): boolean {
  return mode === 'rotate' && now < watchedUntil
}

/**
 * Who of the wave under way still owes its proof. A node that is gone owes nothing; a lost one still does, unless a
 * containment brings up what comes next: there is nothing else left that works.
 */
export function standing(rotation: Rotation, rollout: Rollout, members: Member[]) {
  const byName = new Map(members.map((m) => [m.node, m]))
  const missing: string[] = []
  const excused: string[] = []
  const lost: string[] = []
  for (const node of rollout.waves[rollout.wave] ?? []) {
    const member = byName.get(node)
    if (!member || proves(rotation, member, rollout)) continue
    if (member.excused) excused.push(node)
    else if (member.lost && leavesLostBehind(rotation, rollout)) lost.push(node)
    else missing.push(node)
  }
  return { missing, excused, lost }
}

/** Only on the way up: that a leaked generation is refused must be shown by everybody. */
export function leavesLostBehind({ mode }: Rotation, { purpose }: { purpose: Rollout['purpose'] }): boolean {
  return mode === 'contain' && purpose !== 'narrow'
}

/** What was asked then and has been revoked meanwhile is not asked any more. */
function proves(rotation: Rotation, member: Member, rollout: Rollout): boolean {
  if (member.provedRevision < rollout.revision) return false
  return (
    rollout.accept.every((g) => member.accepts.includes(g) || isDying(rotation, g)) &&
    !rollout.refuse.some((g) => member.accepts.includes(g))
  )
}

export function everybody(facts: Facts): string[] {
  return facts.members.map((m) => m.node).sort()
}
