import { firstFew } from './first-few.ts'
import { placeHold } from './holds.ts'
import type { Facts } from './inputs.ts'
import type { Move } from './rollout.ts'
import type { Rotation } from './state.ts'

/**
 * A routine rotation that would disturb nodes more than its plan allows waits for people, with nothing made yet. What leaked is
 * replaced whatever it disturbs.
 */
export function refuseToDisturb(rotation: Rotation, { members, now }: Facts): Move | undefined {
  const { mode, plan, mayDisturb, id } = rotation
  const most = plan.maxDisruption
  if (mode !== 'rotate' || most === undefined || mayDisturb) return undefined
  const beyond = members
    .filter(({ disruption }) => disruption !== undefined && disruption > most)
    .map(({ node, disruption }) => `${node} (${disruption})`)
    .sort()
  if (beyond.length === 0) return undefined
  const detail = `a change would disturb more than class ${most}: ${firstFew(beyond)}`
  return { events: placeHold(rotation, { reason: 'disruptive', about: id, detail, at: now }), effects: [] }
}
