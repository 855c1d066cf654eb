import type { Severity } from '@rekey/contracts'
import type { Mode, RotationEvent } from '@rekey/core'
import type { NoticedEntry } from '@rekey/ledger'

/** What people are told. It holds no secret, because no journal entry does. */
export type Notice = {
  /** What it is about: a later notice about the same thing belongs to it, and may resolve it. */
  about: string
  severity: Severity
  /** What an earlier notice was about is over. */
  resolves: boolean
  /** One line. */
  summary: string
  rotation: string
  credential: string
  workload: string
  environment: string
  owner: string
  /** Who made the journal entry. */
  actor: string
  /** ISO 8601. */
  at: string
  /** The journal entry. */
  position: number
}

/** Entries that may be of interest. A type that is missing here is never read. */
export const NOTICED_TYPES = [
  'RotationOpened',
  'GenerationsCompromised',
  'ModeRaised',
  'HoldPlaced',
  'HoldLifted',
  'RotationClosed',
] as const satisfies RotationEvent['type'][]

type Told = Pick<Notice, 'about' | 'severity' | 'summary'> & { resolves?: true }

/**
 * What an owner is told of: a leak, and each step that an emergency becomes worse by; whatever is held, and that it no
 * longer is; and an end that is not the plain one. A routine rotation that goes well tells nobody.
 */
export function noticeOf(entry: NoticedEntry): Notice | undefined {
  const told = tell(entry)
  if (!told) return undefined
  const { event: _, mode: __, ...facts } = entry
  return { resolves: false, ...facts, ...told }
}

function tell({ event, rotation, credential, mode }: NoticedEntry): Told | undefined {
  // One incident for each rotation that became an emergency, whoever said so first.
  const emergency = `${rotation}/emergency`
  switch (event.type) {
    case 'RotationOpened': {
      if (event.mode === 'rotate') return undefined
      const which = event.compromised.length > 0 ? `generation ${event.compromised.join(', ')} of ` : ''
      return {
        about: emergency,
        severity: 'critical',
        summary: `${which}${credential} leaked (${event.cause.reason}): ${DOES[event.mode]} in ${rotation}`,
      }
    }
    case 'GenerationsCompromised':
      return {
        about: emergency,
        severity: 'critical',
        summary: `generation ${event.generations.join(', ')} of ${credential} leaked, says ${event.actor}: ${event.reason}`,
      }
    case 'ModeRaised':
      return {
        about: emergency,
        severity: 'critical',
        summary: `${rotation} is ${event.mode} from here on, because ${event.because}: ${DOES[event.mode]}`,
      }
    case 'HoldPlaced': {
      const { reason, about, detail } = event.hold
      return {
        about: holdId(rotation, reason, about),
        severity: mode === 'rotate' ? 'warning' : 'critical',
        summary: `${rotation} is held (${reason.replaceAll('_', ' ')}): ${detail}`,
      }
    }
    case 'HoldLifted':
      return {
        about: holdId(rotation, event.reason, event.about),
        severity: 'warning',
        resolves: true,
        summary: `${rotation} is no longer held (${event.reason.replaceAll('_', ' ')}): ${event.because}`,
      }
    case 'RotationClosed': {
      const { outcome, exceptions } = event
      if (mode === 'rotate' && outcome !== 'rolled-back' && exceptions.length === 0) return undefined
      const but = exceptions.length > 0 ? `, but not everything was shown: ${exceptions.join(', ')}` : ''
      const told = { summary: `${rotation} ended: ${outcome}${but}` }
      if (mode === 'rotate') return { ...told, about: `${rotation}/end`, severity: 'warning' }
      // What was not shown is for a human to look at, so the incident stays open.
      if (exceptions.length > 0) return { ...told, about: emergency, severity: 'critical' }
      return { ...told, about: emergency, severity: 'critical', resolves: true }
    }
    default:
      return undefined
  }
}

const DOES: Record<Mode, string> = {
  rotate: 'it is being replaced',
  expedite: 'it is being replaced at once, and goes on serving meanwhile',
  contain: 'it is being revoked now, and requests with it fail',
}

function holdId(rotation: string, reason: string, about: string): string {
  return `${rotation}/${reason}/${about}`
}
