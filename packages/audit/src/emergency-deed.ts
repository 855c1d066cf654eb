import type { Mode, Outcome, RotationEvent } from '@rekey/core'
import type { EntityDeed, IncidentDeed, Severity, Waiver } from './deed.ts'
import { isService } from './service.ts'

const SEVERITY: Record<Mode, Severity> = { rotate: 'Medium', expedite: 'High', contain: 'Critical' }

/** One incident for each rotation: what comes later in it changes the same one. */
export function emergency(
  rotation: string,
  activity: 'Create' | 'Update',
  mode: Mode,
  message: string,
): IncidentDeed {
  const status = activity === 'Create' ? 'New' : 'InProgress'
  return { ...incident(rotation), activity, status, message, severity: SEVERITY[mode] }
}

export function emergencyEnded(
  rotation: string,
  outcome: Outcome,
  message: string,
  severity: Severity,
): IncidentDeed {
  // Rolled back or called off is an end too, but what leaked is not shown to be dead.
  const status = outcome === 'closed' ? 'Resolved' : 'Closed'
  return { ...incident(rotation), activity: 'Close', status, message, severity }
}

function incident(rotation: string): Pick<IncidentDeed, 'class' | 'uid' | 'title'> {
  return { class: 'incident', uid: `emergency/${rotation}`, title: `A value leaked: rotation ${rotation}` }
}

/** What each mode does not wait for, by the invariants in ARCHITECTURE.md. */
const WAIVED = {
  expedite: ['that nobody uses it, past the bound of the drain', 'the audit topic'],
  contain: [
    'that what clients present is accepted (I1)',
    'that every node has proved what stays (I2)',
    'that a client has another one that works (I8)',
    'the audit topic',
  ],
}

/** The point of no return. An emergency says out loud what it waives, and whose decision that is. */
export function revocation(
  event: Extract<RotationEvent, { type: 'RevocationStarted' }>,
  actor: string,
): EntityDeed {
  const { generation, mode } = event
  // Journals of 0.1 say no more than the generation: it was routine, and nodes were all there was.
  const how = event.revokes > 0 ? 'the authority ends it' : 'nodes stop accepting it'
  const deed = { class: 'entity', activity: 'Disable', generation } as const
  if (mode !== 'expedite' && mode !== 'contain') return { ...deed, message: `revocation started: ${how}` }
  // A containment starts in the transaction of its order; an expedited drain ends when a worker looks.
  const decidedBy = isService(actor) ? null : actor
  const waiver: Waiver = { mode, decidedBy, waived: WAIVED[mode] }
  const by = decidedBy === null ? '' : `, decided by ${decidedBy}`
  const withdrawn = event.withdraw.length > 0 ? `; ${event.withdraw.join(', ')} to show it no longer` : ''
  return {
    ...deed,
    message: `revocation started in ${mode}${by}: ${how}${withdrawn}. Not waited for: ${waiver.waived.join('; ')}`,
    severity: mode === 'contain' ? 'High' : 'Medium',
    waiver,
  }
}

export function generations(list: number[]): string {
  return `generation${list.length > 1 ? 's' : ''} ${list.join(' and ')}`
}
