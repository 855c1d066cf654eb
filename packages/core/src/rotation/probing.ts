import { destroyEverywhere, probe, revoke } from './asks.ts'
import type { ProbeSeen, RotationEvent } from './events.ts'
import { placeHold } from './holds.ts'
import type { Facts } from './inputs.ts'
import type { Move } from './rollout.ts'
import { isDying, type Retirement, type Rotation, type Successor } from './state.ts'
import { isToCome } from './to-come.ts'

/** How long to wait before probing again, by round: the refusal lag of a gateway is short, a hold is not helped by haste. */
const PROBE_AGAIN_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000]

/** A baseline that cannot be shown in this many rounds becomes an exception of the outcome. */
const BASELINE_ROUNDS = 3

/** From this round on, a human is told that the old value is not refused. */
const REFUSAL_ROUNDS = 5

/** Shown, or given up: then the outcome says that there was no positive control. */
export function baselineEnded({ baselineDone, baselineRounds }: Successor): boolean {
  return baselineDone || baselineRounds >= BASELINE_ROUNDS
}

/** The next act after a baseline probe: the old value must be seen accepted, or the outcome will say that it was not. */
export function afterBaseline(
  rotation: Rotation,
  successor: Successor,
  results: ProbeSeen[],
  now: number,
): Move {
  const { base } = rotation
  const { generation, baselineRounds } = successor
  const shown = results.length > 0 && results.every((r) => r.verdict === 'accepted')
  const events: RotationEvent[] = [{ type: 'BaselineProbed', generation, results, conclusive: shown }]
  if (shown || baselineRounds + 1 >= BASELINE_ROUNDS || base === null || isDying(rotation, base))
    return { events, effects: [] }
  const about = {
    purpose: 'baseline',
    generation: base,
    control: generation,
    round: baselineRounds + 1,
  } as const
  return { events, effects: [probe(rotation, generation, now + probeDelay(baselineRounds), about)] }
}

/** The generation that must be seen accepted in the same round. Null: there is none (yet). */
export function controlFor({ base, successor, ...rotation }: Rotation, dying: number): number | null {
  if (
    successor &&
    successor.generation !== dying &&
    (successor.step === 'confirming' || successor.step === 'live')
  )
    return successor.generation
  return base === null || base === dying || isDying({ base, successor, ...rotation }, base) ? null : base
}

/** Asks for one more round, if none is out and there is something to compare with, or never will be. */
export function askProbe(rotation: Rotation, retirement: Retirement, facts: Facts): Move | undefined {
  const { generation, probesAsked, probeRounds, lateUntil, since } = retirement
  if (probesAsked > probeRounds) return undefined
  const control = controlFor(rotation, generation)
  // The first one goes out at once: that it is refused is news, though no proof yet.
  if (probeRounds > 0 && control === null && isToCome(rotation)) return undefined
  const lag = probeRounds === 0 ? Math.max(lateUntil, since + rotation.plan.refusalLagMs) : 0
  const again = probeRounds === 0 ? 0 : facts.now + probeDelay(probeRounds - 1)
  const about = { purpose: 'refusal', generation, control, round: probeRounds } as const
  return {
    events: [{ type: 'ProbeAsked', generation, round: probeRounds }],
    effects: [probe(rotation, generation, Math.max(facts.now, lag, again), about)],
  }
}

/** Dead means refused with a listed code at every endpoint while the control was accepted in the same window. */
export function afterRefusal(
  rotation: Rotation,
  retirement: Retirement,
  results: ProbeSeen[],
  facts: Facts,
): Move {
  const { generation, probeRounds, lateUntil } = retirement
  const compared = (r: ProbeSeen) => (r.control === null ? !isToCome(rotation) : r.control === 'accepted')
  const conclusive =
    facts.now >= lateUntil &&
    results.length > 0 &&
    results.every((r) => r.verdict === 'refused' && compared(r))
  const events: RotationEvent[] = [{ type: 'RefusalProbed', generation, results, conclusive }]
  if (conclusive) return { events, effects: destroyEverywhere(rotation, generation, facts.now) }
  if (probeRounds + 1 < REFUSAL_ROUNDS) return { events, effects: [] }
  const worst = results.find((r) => r.verdict !== 'refused') ?? results.find((r) => r.control !== 'accepted')
  const detail = worst
    ? `${worst.endpoint}: old ${worst.verdict} (${worst.seen}), control ${worst.control}`
    : 'no endpoint'
  events.push(
    ...placeHold(rotation, { reason: 'not_refused', about: `g${generation}`, detail, at: facts.now }),
  )
  const isAlive = worst?.verdict === 'accepted' && rotation.plan.direction === 'outbound'
  if (!isAlive) return { events, effects: [] }
  // A call that outlived its lease may have installed it again.
  const round = retirement.revokesAsked
  events.push({ type: 'RevocationRepeated', generation, round })
  return { events, effects: [revoke(rotation, generation, round, false, facts.now)] }
}

function probeDelay(round: number): number {
  return PROBE_AGAIN_MS[Math.min(round, PROBE_AGAIN_MS.length - 1)] ?? 0
}
