import type { Deed } from './deed.ts'
import type { AuditableEntry, JournalEvent, LedgerEvent } from './entry.ts'
import { canonical, sha256 } from './hash.ts'
import { type AuditHeaders, headersOf } from './headers.ts'
import { ledgerDeed } from './ledger-deed.ts'
import { classOf, short } from './ocsf-class.ts'
import { rotationDeed } from './rotation-deed.ts'
import { isService } from './service.ts'

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
    actor: { user: userOf(entry.actor), ...authorizationsOf(deed) },
    metadata: {
      version: OCSF_VERSION,
      uid: `rekey-${entry.position}`,
      sequence: chain.sequence,
      event_code: entry.type,
      log_name: 'rekey.audit',
      product: { name: 'Rekey', vendor_name: 'Rekey' },
      ...(rotation === undefined ? {} : { correlation_uid: rotation }),
      ...profilesOf(deed),
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
        ...('waiver' in deed && deed.waiver ? { waiver: deed.waiver } : {}),
      },
    },
  }
  const bytes = canonical(record)
  return { key: rotation ?? entry.stream, bytes, hash: sha256(bytes), headers: headersOf(bytes) }
}

/** `actor` is in 3004 as it is, and in other classes by a profile. */
function profilesOf({ class: of }: Deed): { profiles?: string[] } {
  if (of === 'entity') return {}
  return { profiles: of === 'incident' ? ['host', 'incident'] : ['host'] }
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
    if (isLedgerEvent(event)) return ledgerDeed(event) ?? unknown
    const mode = entry.rotation?.mode
    const about = { id: rotation ?? entry.stream, actor: entry.actor, ...(mode ? { mode } : {}) }
    return rotationDeed(event, about) ?? unknown
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
  NodeExcused: true,
  RecoveryStarted: true,
  CredentialInspected: true,
  CredentialReleased: true,
  Paused: true,
  PauseEnded: true,
  NotificationFailed: true,
  RequestDenied: true,
  ApprovalAsked: true,
  ApprovalGiven: true,
  BreakGlassOpened: true,
  BreakGlassUsed: true,
  PoliciesLoaded: true,
  DeadKeyUsed: true,
  AdoptionOrdered: true,
  DriftFound: true,
  DriftSettlementOrdered: true,
  DriftSettled: true,
  AuditHeartbeat: true,
}

function isLedgerEvent(event: JournalEvent): event is LedgerEvent {
  return Object.hasOwn(LEDGER_TYPES, event.type)
}

/** OCSF has a place for who was refused by which policy; for "no policy permits it", only the set of them. */
function authorizationsOf(deed: Deed) {
  if (deed.class !== 'entity' || !deed.refusedBy) return {}
  const { policies, digest } = deed.refusedBy
  const all = { name: 'no policy permits it', version: digest }
  const each = policies.map((uid) => ({ uid, version: digest }))
  return {
    authorizations: (each.length > 0 ? each : [all]).map((policy) => ({ decision: 'deny', policy })),
  }
}

/** An operator and an emitter cannot be told apart by name. */
function userOf(actor: string) {
  const service = isService(actor)
  return { name: actor, uid: actor, type_id: service ? 4 : 0, type: service ? 'Service' : 'Unknown' }
}
