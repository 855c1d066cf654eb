import type { Step, When } from './faults.ts'
import type { Random } from './random.ts'

const STEPS: Step[] = [
  'planned',
  'staging',
  'rolling',
  'promoting',
  'confirming',
  'live',
  'abandoned',
  'waiting',
  'draining',
  'suspending',
  'suspending',
  'revoking',
  'proving',
]

/** Steps may be short, so half of what happens waits for one. */
export function when(random: Random, at: number, healsAt: number): When {
  if (random.chance(0.5)) return { at }
  const from = Math.min(at, random.between(0, healsAt))
  return { at: Math.round(from / 2), on: random.pick(STEPS), plus: random.pick([0, 20, 100, 500]) }
}
