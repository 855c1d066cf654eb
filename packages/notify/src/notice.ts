import type { Severity } from '@rekey/contracts'
import type { Mode } from '@rekey/core'
import type { DeadKeyUsed, NoticedEntry } from '@rekey/ledger'
import { driftWords, settledWords, severityOfDrift } from './drift.ts'

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
  'DeadKeyUsed',
  'DriftFound',
  'DriftSettled',
  'ApprovalAsked',
  'ApprovalGiven',
] as const satisfies NoticedEntry['event']['type'][]

type Told = Pick<Notice, 'about' | 'severity' | 'summary'> & { resolves?: true }

/**
 * What an owner is told of: a leak, and each step that an emergency becomes worse by; whatever is held, and that it no
 * longer is; an end that is not the plain one; an order that waits for a second person; what somebody changed in a store by hand; and, if the
 * owner wants to hear of it, a request with a dead key. A routine rotation that goes well tells nobody.
 */
export function noticeOf(entry: NoticedEntry): Notice | undefined {
  const told = tell(entry)
  if (!told) return undefined
  const { event: _, mode: __, knocks: ___, ...facts } = entry
  return { resolves: false, ...facts, ...told }
}

function tell(entry: NoticedEntry): Told | undefined {
  const { event, rotation, credential, mode, knocks } = entry
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
    case 'DeadKeyUsed':
      if (knocks === 'off') return undefined
      return {
        about: `${credential}/knock/${event.generation}/${event.address ?? 'others'}`,
        severity: knocks,
        summary: knockWords(event),
      }
    case 'DriftFound':
      return {
        about: driftId(event),
        severity: severityOfDrift(event.stores),
        summary: driftWords(event),
      }
    case 'DriftSettled':
      return {
        about: driftId(event),
        severity: 'warning',
        resolves: true,
        summary: settledWords(event),
      }
    case 'ApprovalAsked': {
      const { approval, action, blastRadius, expiresAt, reason } = event
      return {
        about: approval,
        severity: 'critical',
        summary: `${entry.actor} wants to ${action} ${credential} (${blastRadius} nodes: ${reason}), and another person has to agree until ${expiresAt}: rekey approve ${approval}`,
      }
    }
    case 'ApprovalGiven':
      return {
        about: event.approval,
        severity: 'critical',
        resolves: true,
        summary: `${entry.actor} agreed that ${event.requester} may ${event.action} ${credential}: ${event.reason}`,
      }
    default:
      return undefined
  }
}

function knockWords(knock: DeadKeyUsed): string {
  const { generation, credential, address, client, declared, requests, addresses, nodes } = knock
  const who =
    address !== null
      ? `${client ?? (declared ? 'no declared client' : 'by whom is not declared')}, ${address}`
      : addresses > 0
        ? `${addresses} further addresses`
        : 'more addresses than are listed'
  const times = requests > 1 ? ` ${requests} times` : ''
  const at = nodes.length > 0 ? ` at ${nodes.join(', ')}` : ''
  return `generation ${generation} of ${credential}, which is dead, was used${times} (${who})${at}; it was refused, and somebody still has it`
}

const DOES: Record<Mode, string> = {
  rotate: 'it is being replaced',
  expedite: 'it is being replaced at once, and goes on serving meanwhile',
  contain: 'it is being revoked now, and requests with it fail',
}

function driftId({ credential, drift }: { credential: string; drift: number }): string {
  return `${credential}/drift/${drift}`
}

function holdId(rotation: string, reason: string, about: string): string {
  return `${rotation}/${reason}/${about}`
}
