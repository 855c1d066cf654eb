import type { Effect } from './effects.ts'
import { FORMAT, type Plan, type Rotation } from './state.ts'

/**
 * Reads a rotation that an older release stored, so that both releases can work side by side during an upgrade. What is
 * new gets the value that the older release meant by its absence. A newer format than ours is not ours to read: the
 * ledger leaves it to a newer process, and never asks.
 */
export function upcast(stored: { format?: number }): Rotation {
  if ((stored.format ?? 1) >= FORMAT) return stored as Rotation
  return fromFormat1(stored as Format1)
}

// biome-ignore lint/suspicious/noExplicitAny: a stored document of an older shape, read field by field
type Format1 = any

/** 0.1: inbound only, routine only, always with a successor. */
function fromFormat1(old: Format1): Rotation {
  const plan: Plan = { ...NEW_IN_PLAN, ...old.plan }
  const { followUp, successor, retirements, ...rest } = old
  return {
    ...rest,
    format: FORMAT,
    goal: 'replace',
    compromised: [],
    movedAt: null,
    reinstate: null,
    plan,
    followUp: followUp.map((cause: Format1) => ({ cause, goal: 'replace' })),
    successor: {
      settled: successor.step !== 'planned',
      installAsked: false,
      installed: false,
      superseded: false,
      ...successor,
    },
    retirements: retirements.map(({ control: _, ...retirement }: Format1) => ({
      valid: retirement.shown,
      announcement: old.epoch,
      back: retirement.because === 'abandoned' ? old.base : null,
      withdraw: [],
      withdrawn: [],
      suspended: false,
      revokesAsked: 0,
      revokesDone: 0,
      lateUntil: 0,
      // Its probe is out since it began to prove.
      probesAsked: retirement.step === 'proving' && retirement.shown ? retirement.probeRounds + 1 : 0,
      ...retirement,
    })),
  }
}

/** An effect that an older release wrote does not say whose track asked for it. */
export function upcastEffect(stored: Omit<Effect, 'of'> & { of?: number | null }): Effect {
  if (stored.of !== undefined) return stored as Effect
  return { ...stored, of: trackOf(stored as Effect) } as Effect
}

function trackOf(effect: Effect): number | null {
  if (effect.kind === 'timer' || effect.kind === 'deliver') return null
  // The successor's track tries the base, and the successor as the control.
  if (effect.kind === 'probe' && effect.purpose === 'baseline') return effect.control
  return effect.generation
}

const NEW_IN_PLAN = {
  direction: 'inbound',
  slots: 2,
  windows: [],
  expediteDrainMs: 5_000,
  soakMs: null,
  refusalLagMs: 0,
} as const
