import { consentDeed } from './consent-deed.ts'
import type { Deed, EntityDeed } from './deed.ts'
import { driftDeed } from './drift-deed.ts'
import type { LedgerEvent } from './entry.ts'
import { knockDeed } from './knock-deed.ts'
import { recoveryDeed } from './recovery-deed.ts'

/** What each journal entry outside rotations means to a SIEM. A new type fails to compile here. */
export function ledgerDeed(event: LedgerEvent): Deed | undefined {
  switch (event.type) {
    case 'EventJudged': {
      const entity = changeEvent(event)
      const message = `${event.verdict}: ${event.reason}`
      // A change that nobody has a rule for is a finding, not silence.
      if (event.verdict === 'no-rule' || event.verdict === 'unknown-workload')
        return {
          class: 'compliance',
          activity: 'Create',
          uid: `change/${entity.uid}`,
          title: 'A change that no configuration covers',
          control: 'Every change of a known workload is named by a rule',
          message,
          severity: 'Low',
          resource: entity,
        }
      if (event.verdict === 'refused' || event.verdict === 'unknown-credential')
        return {
          class: 'detection',
          activity: 'Create',
          uid: `leak/${entity.uid}`,
          title: 'A leak was reported, and nothing was done',
          control: 'Every leaked value is ended',
          message,
          severity: 'High',
          resource: entity,
        }
      const failed = event.verdict === 'rejected'
      const severity = failed ? 'Low' : 'Informational'
      return { class: 'entity', activity: { other: 'Judge' }, entity, message, failed, severity }
    }
    case 'EventConflicted': {
      const entity = changeEvent(event)
      return {
        class: 'detection',
        activity: 'Create',
        uid: `conflict/${entity.uid}/${event.digest}`,
        title: 'An event id was used again with other content',
        control: 'An event keeps its content',
        message: 'the same id was judged before with other content; nothing was done',
        severity: 'High',
        resource: entity,
      }
    }
    case 'ConfigurationChanged': {
      const fields = event.fields.length > 0 ? `: ${event.fields.join(', ')}` : ''
      return {
        class: 'entity',
        activity: event.action === 'create' ? 'Create' : 'Update',
        entity: { type: event.kind, uid: `${event.kind}/${event.name}`, name: event.name },
        message: `${event.kind} ${event.name}: ${event.action}${fields}`,
      }
    }
    case 'JoinTokenMade':
      return node(event.node, { other: 'Invite' }, `join token made for a node of ${event.workload}`)
    case 'NodeEnrolled':
      return node(
        event.node,
        'Enroll',
        `enrolled as a node of ${event.workload}${event.svid === undefined ? '' : `, by its certificate of ${event.svid}`}`,
      )
    case 'NodeGone':
      return { ...node(event.node, 'Unenroll', `declared gone: ${event.reason}`), severity: 'Low' }
    case 'NodeExcused': {
      const { credentials, until, reason } = event
      const message = `excused until ${until}, with ${credentials.join(', ')}: ${reason}`
      return { ...node(event.node, { other: 'Excuse' }, message), severity: 'Low' }
    }
    case 'RecoveryStarted':
    case 'CredentialInspected':
    case 'CredentialReleased':
      return recoveryDeed(event)
    case 'Paused':
      return pause(event.credentials, 'Suspend', `no routine rotation until ${event.until}: ${event.reason}`)
    case 'PauseEnded':
      return pause(event.credentials, 'Resume', `routine rotations go on: ${event.reason}`)
    case 'NotificationFailed': {
      const { owner, target, rotation, attempt, gaveUp, error } = event
      const uid = `owner/${owner}/${target}`
      return {
        class: 'entity',
        activity: { other: 'Notify' },
        entity: { type: 'Notification target', uid, name: target },
        message: `${owner} is not told of ${rotation} at ${target}, after ${attempt} attempts${gaveUp ? ', and nobody tries any more' : ''}: ${error}`,
        failed: true,
        severity: gaveUp ? 'High' : 'Medium',
      }
    }
    case 'RequestDenied':
      return denied(event)
    case 'ApprovalAsked':
    case 'ApprovalGiven':
    case 'BreakGlassOpened':
    case 'BreakGlassUsed':
      return consentDeed(event)
    case 'AdoptionOrdered': {
      const { credential, generation, rotation, reason, ticket } = event
      const about = ticket === null ? reason : `${reason} (ticket ${ticket})`
      return {
        class: 'entity',
        activity: { other: 'Adopt' },
        entity: { type: 'Credential', uid: `credential/${credential}`, name: credential },
        message: `the value in use is taken over as generation ${generation}, in ${rotation}: ${about}`,
      }
    }
    case 'PoliciesLoaded': {
      const message = `${event.policies.length} policies decide from now on: ${event.policies.join(', ')}`
      const entity = { type: 'Policies', uid: `policies/${event.digest}`, name: 'policies' }
      return { class: 'entity', activity: 'Update', entity, message, severity: 'Low' }
    }
    case 'DeadKeyUsed':
      return knockDeed(event)
    case 'DriftFound':
    case 'DriftSettlementOrdered':
    case 'DriftSettled':
      return driftDeed(event)
    case 'AuditHeartbeat':
      return { class: 'heartbeat', message: `the auditor works; next in ${event.intervalMs} ms` }
    default:
      event satisfies never
      return undefined
  }
}

function pause(credentials: string[], activity: EntityDeed['activity'], what: string): EntityDeed {
  const name = credentials.length === 1 ? credentials[0] : `${credentials.length} credentials`
  const message = `${what} (${credentials.join(', ')})`
  return { class: 'entity', activity, entity: { type: 'Schedule', uid: 'pause', name: `${name}` }, message }
}

function denied(event: Extract<LedgerEvent, { type: 'RequestDenied' }>): EntityDeed {
  const { principal, action, resource, policies, errors, digest, times } = event
  const what = principal && action && resource
  const why =
    errors.length > 0
      ? `a policy failed (${[...policies, ...errors].join(', ')})`
      : policies.length > 0
        ? `denied by ${policies.join(', ')}`
        : 'no policy permits it'
  return {
    class: 'entity',
    activity: { other: 'Deny' },
    entity: resource
      ? { type: resource.type, uid: `${resource.type.toLowerCase()}/${resource.id}`, name: resource.id }
      : { type: 'System', uid: 'system/rekey', name: 'rekey' },
    message: what
      ? `${principal.type} ${principal.id} may not ${action} ${resource.type} ${resource.id}: ${why}${times > 1 ? `, ${times} times` : ''}`
      : `${times} further requests were denied`,
    failed: true,
    severity: 'Low',
    ...(what && { refusedBy: { policies, digest } }),
  }
}

function changeEvent(event: { source: string; id: string }) {
  return { type: 'Change event', uid: `${event.source} ${event.id}`, name: event.id }
}

function node(name: string, activity: EntityDeed['activity'], message: string): EntityDeed {
  return { class: 'entity', activity, entity: { type: 'Node', uid: `node/${name}`, name }, message }
}
