import type { RotationEvent } from './events.ts'
import { type Hold, type Rotation, rolloutsOf } from './state.ts'

/** Places a hold, once for each reason and thing that it is about. */
export function placeHold(rotation: Rotation, hold: Hold): RotationEvent[] {
  return find(rotation, hold.reason, hold.about) ? [] : [{ type: 'HoldPlaced', hold }]
}

export function find(rotation: Rotation, reason: Hold['reason'], about: string): Hold | undefined {
  return rotation.holds.find((h) => h.reason === reason && h.about === about)
}

/** A human, the brake or what it would disturb stopped a routine rotation. An emergency is stopped by nobody. */
export function isPaused({ mode, holds }: Rotation): boolean {
  return mode === 'rotate' && holds.some(stops)
}

export const stops = ({ reason }: Hold): boolean =>
  reason === 'human' || reason === 'error_rate' || reason === 'disruptive'

export function lift({ reason, about }: Hold, because: string): RotationEvent {
  return { type: 'HoldLifted', reason, about, because }
}

/** The holds whose own cause is gone, after `events` led to `rotation`. */
export function liftSettled(
  rotation: Rotation,
  events: RotationEvent[],
  doneEffect?: string,
): RotationEvent[] {
  return rotation.holds.flatMap((hold) => {
    const because = settled(rotation, hold, events, doneEffect)
    return because === undefined ? [] : [lift(hold, because)]
  })
}

function settled(
  rotation: Rotation,
  { reason, about }: Hold,
  events: RotationEvent[],
  doneEffect: string | undefined,
): string | undefined {
  const isAbout = (event: { generation: number }) => `g${event.generation}` === about
  switch (reason) {
    case 'effect_failed':
    case 'effect_struggling':
      return about === doneEffect ? 'it is done' : undefined
    case 'wave_deadline': {
      const waits = rolloutsOf(rotation).some(
        (r) => `r${r.revision}` === about && r.wave < r.waves.length && r.watchedUntil === undefined,
      )
      return waits ? undefined : 'nothing waits for the wave any more'
    }
    case 'drain_cap':
      return events.some((e) => e.type === 'RevocationStarted' && isAbout(e)) ? 'it is drained' : undefined
    case 'not_refused':
      return events.some((e) => e.type === 'RefusalProbed' && e.conclusive && isAbout(e))
        ? 'it is refused'
        : undefined
    case 'no_slot':
      return events.some((e) => e.type === 'StagingStarted' && isAbout(e)) ? 'there is room' : undefined
    case 'overdue':
    case 'disruptive':
    case 'error_rate':
    case 'human':
      // Only the end of the rotation, or a human.
      return undefined
    default:
      return reason satisfies never
  }
}
