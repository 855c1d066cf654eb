import {
  ACTIVITIES,
  type Deed,
  type Entity,
  type EntityDeed,
  FINDING_ACTIVITIES,
  type FindingDeed,
  LIVE_ACTIVITIES,
  SEVERITIES,
  type Severity,
} from './deed.ts'
import type { AuditableEntry, JournalEvent, LedgerEvent } from './entry.ts'
import { canonical, sha256 } from './hash.ts'
import { type AuditHeaders, headersOf } from './headers.ts'
import { ledgerDeed } from './ledger-deed.ts'
import { rotationDeed } from './rotation-deed.ts'

export const OCSF_VERSION = '1.8.0'
export const HASH_ALGORITHM = 'sha-256'

/** Where a record stands: `sequence` counts from 1 without a gap, `previousHash` is the hash of the record before. */
export type Chain = { sequence: number; previousHash: string }

/** What the first record has for the hash of the one before. */
export const GENESIS = { sequence: 0, hash: '0'.repeat(64) } as const

export type OcsfRecord = {
  /** Kafka's key: the rotation's id, else the stream. */
  key: string
  /** The record's value: canonical JSON. */
  bytes: string
  /** SHA-256 of `bytes`; the next record keeps it as its `previous_hash`. */
  hash: string
  headers: AuditHeaders
}

/** Kafka refuses records of 1 MiB; one that names every node of a large fleet could come near. */
const DATA_MAX = 512 * 1024
const TEXT_MAX = 1_000
const ROTATION = 'rotation/'

/** Puts a journal entry into OCSF. Pure: the same entry at the same place of the chain has the same bytes. */
export function toOcsf(entry: AuditableEntry, chain: Chain): OcsfRecord {
  const rotation = rotationOf(entry)
  const deed = deedOf(entry, rotation)
  const data = canonical(entry.data)
  const size = Buffer.byteLength(data)
  const truncated = size > DATA_MAX
  const record = {
    ...classOf(deed, entry),
    time: Date.parse(entry.at),
    message: short(deed.message),
    actor: { user: userOf(entry.actor) },
    metadata: {
      version: OCSF_VERSION,
      uid: `rekey-${entry.position}`,
      sequence: chain.sequence,
      event_code: entry.type,
      log_name: 'rekey.audit',
      product: { name: 'Rekey', vendor_name: 'Rekey' },
      ...(rotation === undefined ? {} : { correlation_uid: rotation }),
      // `actor` is in 3004 as it is, and in other classes by this profile.
      ...(deed.class === 'entity' ? {} : { profiles: ['host'] }),
      ...(truncated ? { is_truncated: true, untruncated_size: size } : {}),
    },
    unmapped: {
      record_integrity: {
        sequence: chain.sequence,
        previous_hash: chain.previousHash,
        hash_algorithm: HASH_ALGORITHM,
      },
      rekey: {
        type: entry.type,
        stream: entry.stream,
        seq: entry.seq,
        data: truncated ? { digest: `sha-256:${sha256(data)}` } : entry.data,
        ...(entry.credential === undefined ? {} : { credential: entry.credential }),
      },
    },
  }
  const bytes = canonical(record)
  return { key: rotation ?? entry.stream, bytes, hash: sha256(bytes), headers: headersOf(bytes) }
}

function rotationOf(entry: AuditableEntry): string | undefined {
  if (entry.rotation) return entry.rotation.id
  return entry.stream.startsWith(ROTATION) ? entry.stream.slice(ROTATION.length) : undefined
}

function deedOf(entry: AuditableEntry, rotation: string | undefined): Deed {
  const event = { ...entry.data, type: entry.type } as JournalEvent
  // A ledger newer or older than this auditor may hold what it has no words for. The data is recorded all the same:
  // a chain that stops there would stop every revocation behind it.
  const unknown = { class: 'unknown' as const, message: `${entry.type} (no description)` }
  try {
    const deed = isLedgerEvent(event) ? ledgerDeed(event) : rotationDeed(event, rotation ?? entry.stream)
    return deed ?? unknown
  } catch {
    return unknown
  }
}

const LEDGER_TYPES: Record<LedgerEvent['type'], true> = {
  EventJudged: true,
  EventConflicted: true,
  ConfigurationChanged: true,
  JoinTokenMade: true,
  NodeEnrolled: true,
  NodeGone: true,
  AuditHeartbeat: true,
}

function isLedgerEvent(event: JournalEvent): event is LedgerEvent {
  return Object.hasOwn(LEDGER_TYPES, event.type)
}

function classOf(deed: Deed, entry: AuditableEntry) {
  switch (deed.class) {
    case 'entity':
      return entityManagement(deed, entry)
    case 'compliance':
      return complianceFinding(deed, entry)
    case 'detection':
      return detectionFinding(deed, entry)
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
  return { ...finding(2004, deed, entry), is_alert: true }
}

function finding(classUid: number, deed: FindingDeed, entry: AuditableEntry) {
  const { type, uid, name } = deed.resource ?? credentialOf(entry)
  const closed = deed.activity === 'Close'
  return {
    ...heading(classUid, FINDING_ACTIVITIES[deed.activity], deed.severity),
    activity_name: deed.activity,
    finding_info: { uid: deed.uid, title: deed.title, desc: short(deed.message) },
    resources: [{ type, uid, name }],
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

/** Rekey's own workers and nodes are services; an operator and an emitter cannot be told apart by name. */
const WORKERS = ['auditor', 'conductor', 'control', 'fleet', 'intake', 'rotator']

function userOf(actor: string) {
  const worker = WORKERS.includes(actor) || actor.startsWith('node/')
  return { name: actor, uid: actor, type_id: worker ? 4 : 0, type: worker ? 'Service' : 'Unknown' }
}

function short(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX).toWellFormed()}…` : text
}
