import type { Rotation } from './state.ts'

/** The one name that people see, derived from the two tracks. */
export type Phase =
  | 'Planned'
  | 'Staging'
  | 'Rolling'
  | 'Promoting'
  | 'Confirming'
  | 'RollingBack'
  | 'Draining'
  | 'Revoking'
  | 'Proving'
  | 'Closed'
  | 'RolledBack'

/** `held` beside it says that it waits for something that a human should know. */
export function phaseOf(rotation: Rotation): Phase {
  if (rotation.outcome) return rotation.outcome === 'closed' ? 'Closed' : 'RolledBack'
  const retirement = rotation.retirements.find((r) => r.step !== 'dead')
  if (retirement) {
    if (retirement.step === 'waiting') return 'RollingBack'
    if (retirement.step === 'draining') return 'Draining'
    return retirement.step === 'revoking' ? 'Revoking' : 'Proving'
  }
  const { step } = rotation.successor
  if (step === 'abandoned') return 'RollingBack'
  return SUCCESSOR_PHASES[step]
}

const SUCCESSOR_PHASES = {
  planned: 'Planned',
  staging: 'Staging',
  rolling: 'Rolling',
  promoting: 'Promoting',
  confirming: 'Confirming',
  live: 'Draining',
} as const satisfies Record<Exclude<Rotation['successor']['step'], 'abandoned'>, Phase>
