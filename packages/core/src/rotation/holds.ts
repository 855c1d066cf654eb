import type { RotationEvent } from './events.ts'
import type { Hold, Rotation } from './state.ts'

/** Places a hold, once for each reason and thing that it is about. */
export function placeHold(rotation: Rotation, hold: Hold): RotationEvent[] {
  return find(rotation, hold.reason, hold.about) ? [] : [{ type: 'HoldPlaced', hold }]
}

export function find(rotation: Rotation, reason: Hold['reason'], about: string): Hold | undefined {
  return rotation.holds.find((h) => h.reason === reason && h.about === about)
}

export function lift({ reason, about }: Hold, because: string): RotationEvent {
  return { type: 'HoldLifted', reason, about, because }
}

/** The holds whose own cause is gone, after `events` happened. */
export function liftSettled(
  rotation: Rotation,
  events: RotationEvent[],
  doneEffect?: string,
): RotationEvent[] {
  return rotation.holds.flatMap((hold) => {
    const because = settled(hold, events, doneEffect)
    return because === undefined ? [] : [lift(hold, because)]
  })
}

function settled(hold: Hold, events: RotationEvent[], doneEffect: string | undefined): string | undefined {
  const generation = (event: { generation: number }) => `g${event.generation}` === hold.about
  switch (hold.reason) {
    case 'effect_failed':
    case 'effect_struggling':
      return hold.about === doneEffect ? 'it is done' : undefined
    case 'wave_deadline':
      return events.some((e) => e.type === 'WaveProved' && `r${e.revision}` === hold.about)
        ? 'the wave is proved'
        : undefined
    case 'drain_cap':
      return events.some((e) => e.type === 'RevocationStarted' && generation(e)) ? 'it is drained' : undefined
    case 'not_refused':
      return events.some((e) => e.type === 'RefusalProbed' && e.conclusive && generation(e))
        ? 'it is refused'
        : undefined
    case 'overdue':
      // Only the end of the rotation ends it.
      return undefined
    default:
      return hold.reason satisfies never
  }
}
