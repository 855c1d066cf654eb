import {
  ACTIVITIES,
  type Deed,
  type Entity,
  type EntityDeed,
  FINDING_ACTIVITIES,
  type FindingDeed,
  INCIDENT_STATUS,
  type IncidentDeed,
  LIVE_ACTIVITIES,
  SEVERITIES,
  type Severity,
} from './deed.ts'
import type { AuditableEntry } from './entry.ts'

const TEXT_MAX = 1_000

/** What a deed is in the words of its OCSF class. */
export function classOf(deed: Deed, entry: AuditableEntry) {
  switch (deed.class) {
    case 'entity':
      return entityManagement(deed, entry)
    case 'compliance':
      return complianceFinding(deed, entry)
    case 'detection':
      return detectionFinding(deed, entry)
    case 'incident':
      return incidentFinding(deed, entry)
    case 'heartbeat':
      return {
        ...heading(6002, 99, 'Informational'),
        activity_name: 'Heartbeat',
        app: { name: 'Rekey auditor' },
      }
    case 'unknown':
      return { ...heading(0, 99, 'Informational'), activity_name: entry.type }
    default:
      return deed satisfies never
  }
}

function heading(classUid: number, activity: number, severity: Severity) {
  return {
    class_uid: classUid,
    category_uid: Math.floor(classUid / 1000),
    activity_id: activity,
    type_uid: classUid * 100 + activity,
    severity_id: SEVERITIES[severity],
    severity,
  }
}

function entityManagement(deed: EntityDeed, entry: AuditableEntry) {
  const { activity, failed } = deed
  const other = typeof activity === 'object'
  const uid = other ? 99 : { ...ACTIVITIES, ...LIVE_ACTIVITIES }[activity]
  return {
    ...heading(3004, uid, deed.severity ?? 'Informational'),
    activity_name: other ? activity.other : activity,
    entity: entityOf(deed.entity ?? credentialOf(entry, deed.generation ?? undefined)),
    status_id: failed ? 2 : 1,
    status: failed ? 'Failure' : 'Success',
  }
}

function entityOf({ type, uid, name, generation }: Entity) {
  return {
    type_id: 99,
    type,
    uid,
    name,
    ...(generation === undefined ? {} : { version: String(generation) }),
  }
}

function complianceFinding(deed: FindingDeed, entry: AuditableEntry) {
  const closed = deed.activity === 'Close'
  return {
    ...finding(2003, deed, entry),
    compliance: {
      control: deed.control,
      status_id: closed ? 1 : 3,
      status: closed ? 'Pass' : 'Fail',
    },
  }
}

function detectionFinding(deed: FindingDeed, entry: AuditableEntry) {
  const detection = { ...finding(2004, deed, entry), is_alert: true }
  if (!deed.seen) return detection
  const { address, nodes, count, firstAt, lastAt } = deed.seen
  const source = address === null ? {} : { src_endpoint: { ip: address } }
  return {
    ...detection,
    finding_info: {
      ...detection.finding_info,
      first_seen_time: Date.parse(firstAt),
      last_seen_time: Date.parse(lastAt),
    },
    evidences: nodes.map((name) => ({ ...source, dst_endpoint: { name } })),
    ...(count > 0 && { count }),
  }
}

/** It has no `resources`: what it is about stands in the message and in `unmapped.rekey.credential`. */
function incidentFinding(deed: IncidentDeed, entry: AuditableEntry) {
  const owner = entry.credential?.owner ?? 'unknown'
  const desc = short(deed.message)
  return {
    ...heading(2005, FINDING_ACTIVITIES[deed.activity], deed.severity),
    activity_name: deed.activity,
    finding_info_list: [{ uid: deed.uid, title: deed.title, desc }],
    // OCSF wants somebody to be in charge: the team that owns the workload.
    assignee_group: { name: owner },
    is_suspected_breach: true,
    ...INCIDENT_STATUS[deed.status],
  }
}

function finding(classUid: number, deed: FindingDeed, entry: AuditableEntry) {
  const { type, uid, name, generation } = deed.resource ?? credentialOf(entry)
  const closed = deed.activity === 'Close'
  return {
    ...heading(classUid, FINDING_ACTIVITIES[deed.activity], deed.severity),
    activity_name: deed.activity,
    finding_info: { uid: deed.uid, title: deed.title, desc: short(deed.message) },
    resources: [{ type, uid, name, ...(generation !== undefined && { version: String(generation) }) }],
    status_id: closed ? 4 : 1,
    status: closed ? 'Resolved' : 'New',
  }
}

function credentialOf(entry: AuditableEntry, generation?: number): Entity {
  const name = entry.credential?.name ?? entry.rotation?.credential ?? entry.stream
  return {
    type: 'Credential',
    uid: `credential/${name}`,
    name,
    ...(generation === undefined ? {} : { generation }),
  }
}

export function short(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX).toWellFormed()}…` : text
}
