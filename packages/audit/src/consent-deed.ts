import type { Deed } from './deed.ts'
import type { LedgerEvent } from './entry.ts'

type ConsentEvent = Extract<
  LedgerEvent,
  { type: 'ApprovalAsked' | 'ApprovalGiven' | 'BreakGlassOpened' | 'BreakGlassUsed' }
>

/** Orders that one person may not give alone, and those that are given past the identity provider. */
export function consentDeed(event: ConsentEvent): Deed {
  switch (event.type) {
    case 'ApprovalAsked': {
      const { approval, action, resource, blastRadius, reason, expiresAt } = event
      const message = `${action} of ${nameOf(resource)}, about ${blastRadius} nodes, needs another person until ${expiresAt}: ${reason}`
      return {
        class: 'entity',
        activity: { other: 'Request' },
        entity: approvalOf(approval),
        message,
        severity: 'Low',
      }
    }
    case 'ApprovalGiven': {
      const { approval, requester, action, resource, reason } = event
      const message = `agreed that ${requester} may ${action} ${nameOf(resource)}, once: ${reason}`
      return {
        class: 'entity',
        activity: { other: 'Approve' },
        entity: approvalOf(approval),
        message,
        severity: 'Low',
      }
    }
    // A SIEM that alerts on findings hears of it, whether or not anybody at Rekey's owner set an alarm.
    case 'BreakGlassOpened':
      return {
        class: 'detection',
        activity: 'Create',
        uid: `break-glass/${event.token}`,
        title: 'A break-glass token is used',
        control: 'People come in by the identity provider',
        message: `the token of ${event.person} was used for the first time, and ends at ${event.endsAt}`,
        severity: 'High',
        resource: { type: 'Break-glass token', uid: `break-glass/${event.token}`, name: event.person },
      }
    case 'BreakGlassUsed': {
      const { token, person, action, resource, reason, address, at, status } = event
      const what = `${action} of ${nameOf(resource)} at ${at} from ${address}`
      const answer = status === null ? 'unknown: control stopped before it answered' : `${status}`
      return {
        class: 'entity',
        activity: { other: 'Break glass' },
        entity: { type: 'Break-glass token', uid: `break-glass/${token}`, name: person },
        message: `${what}, answered ${answer}${reason === null ? '' : `: ${reason}`}`,
        failed: status === null || status >= 400,
        severity: 'Medium',
      }
    }
    default:
      return event satisfies never
  }
}

function nameOf({ type, id }: { type: string; id?: string }): string {
  return id === undefined ? type : `${type} ${id}`
}

function approvalOf(id: string) {
  return { type: 'Approval', uid: `approval/${id}`, name: id }
}
