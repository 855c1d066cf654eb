import type { Retirement, Rotation, Successor } from './state.ts'

/** The one name that people see, derived from the two tracks. */
export type Phase =
  | 'Planned'
  | 'Staging'
  | 'Rolling'
  | 'Promoting'
  | 'Confirming'
  | 'RollingBack'
  | 'Draining'
  | 'Suspended'
  | 'Revoking'
  | 'Proving'
  | 'Closed'
  | 'RolledBack'
  | 'Cancelled'

const OUTCOMES = { closed: 'Closed', 'rolled-back': 'RolledBack', cancelled: 'Cancelled' } as const

/** `held` beside it says that it waits for something that a human should know of. */
export function phaseOf({ outcome, successor, retirements }: Rotation): Phase {
  if (outcome) return OUTCOMES[outcome]
  // While a successor is on its way up, that is what people wait for, whatever dies beside it.
  if (successor && successor.step !== 'live' && successor.step !== 'abandoned')
    return SUCCESSOR_PHASES[successor.step]
  const retirement = retirements.find((r) => r.step !== 'dead')
  if (retirement) return RETIREMENT_PHASES[retirement.step]
  return successor?.step === 'abandoned' ? 'RollingBack' : 'Draining'
}

const SUCCESSOR_PHASES = {
  planned: 'Planned',
  staging: 'Staging',
  rolling: 'Rolling',
  promoting: 'Promoting',
  confirming: 'Confirming',
} as const satisfies Record<Exclude<Successor['step'], 'live' | 'abandoned'>, Phase>

const RETIREMENT_PHASES = {
  waiting: 'RollingBack',
  draining: 'Draining',
  suspending: 'Suspended',
  revoking: 'Revoking',
  proving: 'Proving',
  dead: 'Proving',
} as const satisfies Record<Retirement['step'], Phase>
