import { brakeLook } from './asks.ts'
import { firstFew } from './first-few.ts'
import { isPaused, placeHold } from './holds.ts'
import type { Answers, Facts, Member } from './inputs.ts'
import type { Move } from './rollout.ts'
import { isUp, type Rotation } from './state.ts'
import { abandon, hasWayBack } from './takeover.ts'

const NOTHING: Move = { events: [], effects: [] }

/** How often nodes' answers are looked at, and how often while people are awaited. */
const LOOK_MS = 1_000
const LOOK_HELD_MS = 30_000

/** A routine rotation that brakes, from when nodes are told of the successor until all of them refuse what it replaces. */
export function isBraked({ mode, plan, successor, retirements, base, unbraked }: Rotation): boolean {
  if (mode !== 'rotate' || !plan.brake || !successor || successor.step === 'abandoned') return false
  if (unbraked) return false
  const last = retirements.find((r) => r.generation === base)?.step
  return last !== 'proving' && last !== 'dead'
}

/** Looks again and again, because errors come without an input of their own. */
export function lookAtAnswers(rotation: Rotation, { now }: Facts): Move {
  if (!isBraked(rotation)) return NOTHING
  const next = now + (isPaused(rotation) ? LOOK_HELD_MS : LOOK_MS)
  return { events: [], effects: [brakeLook(rotation, next)] }
}

/**
 * Too many requests fail on nodes that were told: goes back where the policy says so and there is a way back, else it waits
 * for people. Errors alone count, and not refusals: anybody can send a key that is none.
 */
export function brake(rotation: Rotation, facts: Facts): Move | undefined {
  const { plan, successor, id } = rotation
  if (!plan.brake || !successor || !isUp(successor) || !isBraked(rotation)) return undefined
  const detail = tooManyFail(toldOf(rotation, facts.members), plan.brake, facts.now - plan.evidenceMs)
  if (detail === undefined) return undefined
  // What is adopted has none before it.
  if (plan.brake.action === 'rollback' && hasWayBack(rotation))
    return abandon(rotation, { reason: detail, actor: 'rekey', superseded: false }, facts)
  const events = placeHold(rotation, { reason: 'error_rate', about: id, detail, at: facts.now })
  return events.length > 0 ? { events, effects: [] } : undefined
}

/** Nodes that took the successor; later, those that refuse what it replaces. What others answer is not its doing. */
function toldOf({ successor, retirements, base }: Rotation, members: Member[]): Member[] {
  const generation = successor?.generation ?? 0
  if (successor?.step === 'rolling') return members.filter(({ accepts }) => accepts.includes(generation))
  const isRefused = retirements.some((r) => r.generation === base && r.step === 'revoking')
  return isRefused ? members.filter(({ accepts }) => base !== null && !accepts.includes(base)) : members
}

function tooManyFail(
  told: Member[],
  { share, requests }: { share: number; requests: number },
  since: number,
): string | undefined {
  const seen = told
    .filter(({ reportedAt }) => reportedAt !== null && reportedAt >= since)
    .map(({ node, usage }) => ({ node, ...sum(usage.flatMap(({ recent }) => recent ?? [])) }))
  const all = sum(seen)
  // What is left of an old failure is less than one.
  const failures = Math.round(all.failures)
  if (all.requests < requests || failures === 0 || failures <= all.requests * share) return undefined
  const worst = seen
    .filter(({ failures }) => failures > 0)
    .sort((a, b) => b.failures - a.failures)
    .map(({ node, ...one }) => `${node} (${said(one)})`)
  return `${said(all)} requests of the last half minute failed, on ${firstFew(worst)}`
}

const said = ({ requests, failures }: Answers) => `${Math.round(failures)} of ${Math.round(requests)}`

function sum(some: Answers[]): Answers {
  return {
    requests: some.reduce((total, one) => total + one.requests, 0),
    failures: some.reduce((total, one) => total + one.failures, 0),
  }
}
