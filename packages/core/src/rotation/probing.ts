import { destroyEverywhere, probe } from './asks.ts'
import type { ProbeSeen, RotationEvent } from './events.ts'
import { placeHold } from './holds.ts'
import type { Move } from './rollout.ts'
import type { Retirement, Rotation, Successor } from './state.ts'

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
export function afterBaseline(rotation: Rotation, results: ProbeSeen[], now: number): Move {
  const { base, successor } = rotation
  const shown = results.length > 0 && results.every((r) => r.verdict === 'accepted')
  const last = successor.baselineRounds + 1 >= BASELINE_ROUNDS
  const { generation } = successor
  const again = !shown && !last && base !== null
  return {
    events: [{ type: 'BaselineProbed', generation, results, conclusive: shown }],
    effects: again
      ? [
          probe(rotation, now + probeDelay(successor.baselineRounds), {
            purpose: 'baseline',
            generation: base,
            control: generation,
            round: successor.baselineRounds + 1,
          }),
        ]
      : [],
  }
}

/** Dead means refused with a listed code at every endpoint while the control was accepted in the same window. */
export function afterRefusal(
  rotation: Rotation,
  retirement: Retirement,
  results: ProbeSeen[],
  now: number,
): Move {
  const { generation, control, probeRounds } = retirement
  const conclusive =
    results.length > 0 &&
    results.every((r) => r.verdict === 'refused' && (control === null || r.control === 'accepted'))
  const events: RotationEvent[] = [{ type: 'RefusalProbed', generation, results, conclusive }]
  if (conclusive) return { events, effects: destroyEverywhere(rotation, generation, now) }
  if (probeRounds + 1 >= REFUSAL_ROUNDS) {
    const worst =
      results.find((r) => r.verdict !== 'refused') ?? results.find((r) => r.control !== 'accepted')
    const detail = worst
      ? `${worst.endpoint}: old ${worst.verdict} (${worst.seen}), control ${worst.control}`
      : 'no endpoint'
    events.push(...placeHold(rotation, { reason: 'not_refused', about: `g${generation}`, detail, at: now }))
  }
  const next = { purpose: 'refusal', generation, control, round: probeRounds + 1 } as const
  return { events, effects: [probe(rotation, now + probeDelay(probeRounds), next)] }
}

function probeDelay(round: number): number {
  return PROBE_AGAIN_MS[Math.min(round, PROBE_AGAIN_MS.length - 1)] ?? 0
}
