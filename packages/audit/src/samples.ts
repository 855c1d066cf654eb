import type { RotationEvent } from '@rekey/core'
import type { AuditableEntry, JournalEvent, LedgerEvent } from './entry.ts'
import { GENESIS, type OcsfRecord, toOcsf } from './to-ocsf.ts'

/** One event of every type, for tests: a type without one does not compile. */
type Samples<E extends { type: string }> = { [T in E['type']]: Extract<E, { type: T }>[] }

const cause = {
  kind: 'change' as const,
  actor: 'ci',
  rule: 'new-image',
  event: '/ci 7',
  reason: 'chat: image a → b',
}
const plan = {
  stores: ['vault', 'aws'],
  waves: [1, '50%'],
  settleMs: 1,
  waveDeadlineMs: 1,
  quietMs: 1,
  readerCacheMs: 1,
  drainCapMs: 1,
  evidenceMs: 1,
  overdueMs: 7_200_000,
}
const probe = {
  generation: 1,
  results: [
    { endpoint: 'n1:8443', verdict: 'refused' as const, seen: '401', control: 'accepted' as const },
    { endpoint: 'n2:8443', verdict: 'unknown' as const, seen: 'timeout', control: null },
  ],
}
const hold = (reason: 'drain_cap' | 'not_refused') => ({
  reason,
  about: 'g1',
  detail: 'n1 still uses it',
  at: 1,
})
const at = 1_795_000_000_000

const ROTATION_SAMPLES: Samples<RotationEvent> = {
  RotationOpened: [
    {
      type: 'RotationOpened',
      id: 'chat-g2',
      credential: 'chat',
      mode: 'rotate',
      cause,
      plan,
      base: 1,
      generation: 2,
      revision: 4,
    },
  ],
  CauseJoined: [{ type: 'CauseJoined', cause }],
  FollowUpNoted: [{ type: 'FollowUpNoted', cause }],
  StagingStarted: [{ type: 'StagingStarted', generation: 2, waves: [['n1'], ['n2']] }],
  ValueStaged: [
    {
      type: 'ValueStaged',
      generation: 2,
      store: 'vault',
      storeVersion: '3',
      keyId: 'chat.2',
      proofKey: 'MCow',
    },
    { type: 'ValueStaged', generation: 2, store: 'aws', storeVersion: 'x', keyId: 'chat.2', proofKey: null },
  ],
  RollingStarted: [{ type: 'RollingStarted', generation: 2 }],
  WaveStarted: [
    {
      type: 'WaveStarted',
      track: 'successor',
      purpose: 'widen',
      waves: [['n1'], ['n2']],
      wave: 0,
      nodes: ['n1'],
      revision: 5,
      accept: [1, 2],
      refuse: [],
      floor: 1,
    },
  ],
  WaveProved: [
    { type: 'WaveProved', purpose: 'widen', wave: 0, revision: 5, nodes: ['n1'], excused: [] },
    { type: 'WaveProved', purpose: 'narrow', wave: 1, revision: 6, nodes: ['n1', 'n2'], excused: ['n3'] },
  ],
  NodeNacked: [
    {
      type: 'NodeNacked',
      node: 'n1',
      revision: 5,
      generation: null,
      reason: 'store_unreachable',
      detail: '503',
    },
  ],
  PromotionAsked: [{ type: 'PromotionAsked', generation: 2, store: 'vault' }],
  StorePromoted: [{ type: 'StorePromoted', generation: 2, store: 'vault', storeVersion: '3' }],
  ConfirmingStarted: [{ type: 'ConfirmingStarted', generation: 2 }],
  BaselineProbed: [{ type: 'BaselineProbed', ...probe, conclusive: true }],
  SuccessorLive: [{ type: 'SuccessorLive', generation: 2 }],
  SuccessorAbandoned: [{ type: 'SuccessorAbandoned', generation: 2, reason: 'wrong model', actor: 'ada' }],
  RetirementOpened: [
    {
      type: 'RetirementOpened',
      generation: 1,
      control: 2,
      because: 'replaced',
      shown: true,
      restore: [],
      exceptions: ['one node was excused'],
      at,
    },
  ],
  StoreRestored: [{ type: 'StoreRestored', generation: 2, store: 'vault', storeVersion: '4' }],
  DrainingStarted: [{ type: 'DrainingStarted', generation: 1, at }],
  RevocationAnnounced: [
    { type: 'RevocationAnnounced', generation: 1, evidence: ['n1: unused for 30 s', 'n2: unused'] },
  ],
  AuditAcknowledged: [{ type: 'AuditAcknowledged', generation: 1 }],
  RevocationStarted: [{ type: 'RevocationStarted', generation: 1, at }],
  ProvingStarted: [{ type: 'ProvingStarted', generation: 1, at }],
  RefusalProbed: [
    { type: 'RefusalProbed', ...probe, conclusive: false },
    { type: 'RefusalProbed', generation: 1, results: [], conclusive: true },
  ],
  StoreDestroyed: [{ type: 'StoreDestroyed', generation: 1, store: 'vault' }],
  GenerationDead: [{ type: 'GenerationDead', generation: 1, exceptions: [], at }],
  HoldPlaced: [
    { type: 'HoldPlaced', hold: hold('drain_cap') },
    { type: 'HoldPlaced', hold: hold('not_refused') },
  ],
  HoldLifted: [{ type: 'HoldLifted', reason: 'drain_cap', about: 'g1', because: 'drained' }],
  RotationClosed: [
    { type: 'RotationClosed', outcome: 'closed', exceptions: [] },
    { type: 'RotationClosed', outcome: 'rolled-back', exceptions: ['aws was not read back'] },
  ],
}

const judged = { type: 'EventJudged' as const, source: '/ci', id: '7', at: '2026-11-21T10:00:00.000Z' }
const LEDGER_SAMPLES: Samples<LedgerEvent> = {
  EventJudged: (
    [
      'rotation-opened',
      'joined',
      'queued',
      'no-change',
      'no-rule',
      'unknown-workload',
      'duplicate',
      'conflict',
      'rejected',
    ] as const
  ).map((verdict) => ({
    ...judged,
    verdict,
    reason: 'because',
    rotations: [{ credential: 'chat', rotation: 'chat-g2', rule: 'new-image', how: 'opened' }],
  })),
  EventConflicted: [{ type: 'EventConflicted', source: '/ci', id: '7', digest: 'b', first: 'a' }],
  ConfigurationChanged: [
    { type: 'ConfigurationChanged', kind: 'Rule', name: 'new-image', action: 'create', fields: [] },
    {
      type: 'ConfigurationChanged',
      kind: 'Credential',
      name: 'chat',
      action: 'update',
      fields: ['spec.rollout'],
    },
  ],
  JoinTokenMade: [{ type: 'JoinTokenMade', node: 'n1', workload: 'chat' }],
  NodeEnrolled: [{ type: 'NodeEnrolled', node: 'n1', workload: 'chat' }],
  NodeGone: [{ type: 'NodeGone', node: 'n1', reason: 'scaled in' }],
  AuditHeartbeat: [{ type: 'AuditHeartbeat', intervalMs: 60_000 }],
}

const streamOf = {
  EventJudged: 'intake',
  EventConflicted: 'intake',
  ConfigurationChanged: 'configuration',
  JoinTokenMade: 'node/n1',
  NodeEnrolled: 'node/n1',
  NodeGone: 'node/n1',
  AuditHeartbeat: 'audit',
} satisfies Record<LedgerEvent['type'], string>

/** As the ledger would hand them over, at positions from 1. */
export function sampleEntries(): AuditableEntry[] {
  const rotation = Object.values(ROTATION_SAMPLES)
    .flat()
    .map((event) => ({ event, stream: 'rotation/chat-g2' }))
  const ledger = Object.values(LEDGER_SAMPLES)
    .flat()
    .map((event) => ({ event, stream: streamOf[event.type] }))
  return [...rotation, ...ledger].map(({ event, stream }, index) => sampleEntry(event, stream, index + 1))
}

export function sampleEntry(event: JournalEvent, stream: string, position: number): AuditableEntry {
  const { type, ...data } = event
  const entry = {
    position,
    stream,
    seq: position,
    type,
    data,
    actor: 'rotator',
    at: '2026-11-21T10:00:00.123Z',
  }
  if (!stream.startsWith('rotation/')) return entry
  const workload = { workload: 'chat', owner: 'team-ai', environment: 'prod', spiffeId: 'spiffe://x/chat' }
  return {
    ...entry,
    rotation: { id: stream.slice('rotation/'.length), credential: 'chat' },
    credential: { name: 'chat', ...workload },
  }
}

export function sampleChain(entries = sampleEntries()): OcsfRecord[] {
  const records: OcsfRecord[] = []
  for (const entry of entries) {
    const before = records.at(-1)
    const previousHash = before?.hash ?? GENESIS.hash
    records.push(toOcsf(entry, { sequence: records.length + 1, previousHash }))
  }
  return records
}
