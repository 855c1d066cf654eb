import { deliver, waveDeadline } from './asks.ts'
import type { Effect } from './effects.ts'
import type { RotationEvent, Wave } from './events.ts'
import type { Facts, Member } from './inputs.ts'
import type { Rollout, Rotation } from './state.ts'

/** One move, or undefined: nothing can move until something else happens. */
export type Move = { events: RotationEvent[]; effects: Effect[] }

/** Tells a wave of nodes what they shall hold. */
export function startWave(rotation: Rotation, facts: Facts, next: Wave): Move {
  const { nodes, revision } = next
  const effects = [deliver(rotation, revision, nodes, facts.now), waveDeadline(rotation, revision, facts.now)]
  return { events: [{ type: 'WaveStarted', ...next }], effects: nodes.length > 0 ? effects : [] }
}

/** The wave under way is proved: on to the next one, or to the end of the rollout. */
export function nextWave(
  rotation: Rotation,
  rollout: Rollout,
  facts: Facts,
  build?: (index: number) => Wave,
): Move | undefined {
  const nodes = rollout.waves[rollout.wave] ?? []
  const { missing, excused } = standing(nodes, rollout, facts.members)
  if (missing.length > 0) return undefined
  const { purpose, wave: index, revision } = rollout
  const proved = nodes.filter((node) => !excused.includes(node))
  const events: RotationEvent[] = [
    { type: 'WaveProved', purpose, wave: index, revision, nodes: proved, excused },
  ]
  if (!build || index + 1 >= rollout.waves.length) return { events, effects: [] }
  const started = startWave(rotation, facts, build(index + 1))
  return { events: [...events, ...started.events], effects: started.effects }
}

/** Who of a wave still owes its proof. A node that is gone owes nothing; a lost one still does. */
export function standing(nodes: string[], rollout: Rollout, members: Member[]) {
  const byName = new Map(members.map((m) => [m.node, m]))
  const missing: string[] = []
  const excused: string[] = []
  for (const node of nodes) {
    const member = byName.get(node)
    if (!member) continue
    if (member.excused) excused.push(node)
    else if (!proves(member, rollout)) missing.push(node)
  }
  return { missing, excused }
}

function proves(member: Member, rollout: Rollout): boolean {
  if (member.provedRevision < rollout.revision) return false
  return (
    rollout.accept.every((g) => member.accepts.includes(g)) &&
    !rollout.refuse.some((g) => member.accepts.includes(g))
  )
}

export function everybody(facts: Facts): string[] {
  return facts.members.map((m) => m.node).sort()
}
