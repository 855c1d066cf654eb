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
  direction: 'outbound' as const,
  slots: 2 as const,
  stores: ['vault', 'aws'],
  waves: [1, '50%'],
  windows: [],
  settleMs: 1,
  waveDeadlineMs: 1,
  quietMs: 1,
  readerCacheMs: 1,
  drainCapMs: 1,
  expediteDrainMs: 1,
  soakMs: null,
  refusalLagMs: 1,
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
const hold = (reason: 'drain_cap' | 'not_refused' | 'human') => ({
  reason,
  about: 'g1',
  detail: 'n1 still uses it',
  at: 1,
})
const at = 1_795_000_000_000

const order = { kind: 'order' as const, actor: 'operator/ana', reason: 'in a log', ticket: 'INC-7' }
const opened = {
  type: 'RotationOpened' as const,
  id: 'chat-g2',
  credential: 'chat',
  goal: 'replace' as const,
  mode: 'rotate' as const,
  compromised: [],
  cause,
  plan,
  base: 1,
  generation: 2,
  revision: 4,
  movedAt: null,
}
const revocation = { type: 'RevocationStarted' as const, generation: 1, at, lateUntil: 0, withdraw: [] }

const ROTATION_SAMPLES: Samples<RotationEvent> = {
  RotationOpened: [
    opened,
    { ...opened, mode: 'expedite', compromised: [1], cause: order },
    { ...opened, mode: 'contain', compromised: [1], cause: { ...order, kind: 'leak' } },
    { ...opened, goal: 'retire', generation: null, cause: order },
  ],
  CauseJoined: [{ type: 'CauseJoined', cause }],
  FollowUpNoted: [
    { type: 'FollowUpNoted', cause, goal: 'replace' },
    { type: 'FollowUpNoted', cause: order, goal: 'retire' },
  ],
  ModeRaised: [{ type: 'ModeRaised', mode: 'contain', because: 'base and successor both leaked' }],
  GenerationsCompromised: [
    { type: 'GenerationsCompromised', generations: [1, 2], actor: 'operator/ana', reason: 'in a log' },
  ],
  SuccessorPlanned: [{ type: 'SuccessorPlanned', generation: 3, base: null }],
  Settled: [{ type: 'Settled', generation: 2 }],
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
  InstallAsked: [{ type: 'InstallAsked', generation: 2 }],
  ValueInstalled: [{ type: 'ValueInstalled', generation: 2 }],
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
    { type: 'WaveProved', purpose: 'widen', wave: 0, revision: 5, nodes: ['n1'], excused: [], lost: [] },
    {
      type: 'WaveProved',
      purpose: 'narrow',
      wave: 1,
      revision: 6,
      nodes: ['n1', 'n2'],
      excused: ['n3'],
      lost: ['n4'],
    },
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
  StorePromoted: [{ type: 'StorePromoted', generation: 2, store: 'vault', storeVersion: '3', at }],
  ConfirmingStarted: [{ type: 'ConfirmingStarted', generation: 2 }],
  BaselineProbed: [{ type: 'BaselineProbed', ...probe, conclusive: true }],
  SuccessorLive: [{ type: 'SuccessorLive', generation: 2 }],
  SuccessorAbandoned: [
    {
      type: 'SuccessorAbandoned',
      generation: 2,
      reason: 'wrong model',
      actor: 'ada',
      superseded: true,
      dropped: [1],
      reinstate: 1,
    },
  ],
  RetirementOpened: [
    {
      type: 'RetirementOpened',
      generation: 1,
      because: 'replaced',
      step: 'waiting',
      shown: true,
      valid: true,
      back: null,
      restore: [],
      exceptions: ['one node was excused'],
      at,
    },
  ],
  OffboardingCancelled: [
    {
      type: 'OffboardingCancelled',
      generation: 1,
      reason: 'still used',
      actor: 'operator/ana',
      reinstate: null,
    },
  ],
  StoreRestored: [{ type: 'StoreRestored', generation: 2, store: 'vault', storeVersion: '4', at }],
  Reinstated: [{ type: 'Reinstated', generation: 1 }],
  DrainingStarted: [{ type: 'DrainingStarted', generation: 1, at }],
  RevocationAnnounced: [
    { type: 'RevocationAnnounced', generation: 1, epoch: 1, evidence: ['n1: unused for 30 s', 'n2: unused'] },
  ],
  AuditAcknowledged: [{ type: 'AuditAcknowledged', generation: 1 }],
  SuspensionStarted: [{ type: 'SuspensionStarted', generation: 1, at }],
  Suspended: [{ type: 'Suspended', generation: 1, at }],
  RevocationStarted: [
    { ...revocation, mode: 'rotate', revokes: 0 },
    { ...revocation, mode: 'expedite', revokes: 2 },
    { ...revocation, mode: 'contain', revokes: 1, withdraw: ['vault'] },
  ],
  StoreWithdrawn: [
    { type: 'StoreWithdrawn', generation: 1, store: 'vault', storeVersion: '5', at },
    { type: 'StoreWithdrawn', generation: 1, store: 'aws', storeVersion: null, at },
  ],
  Revoked: [{ type: 'Revoked', generation: 1, round: 1 }],
  RevocationRepeated: [{ type: 'RevocationRepeated', generation: 1, round: 1 }],
  ProvingStarted: [{ type: 'ProvingStarted', generation: 1, at }],
  ProbeAsked: [{ type: 'ProbeAsked', generation: 1, round: 0 }],
  RefusalProbed: [
    { type: 'RefusalProbed', ...probe, conclusive: false },
    { type: 'RefusalProbed', generation: 1, results: [], conclusive: true },
  ],
  StoreDestroyed: [{ type: 'StoreDestroyed', generation: 1, store: 'vault' }],
  GenerationDead: [{ type: 'GenerationDead', generation: 1, exceptions: [], at }],
  HoldPlaced: [
    { type: 'HoldPlaced', hold: hold('drain_cap') },
    { type: 'HoldPlaced', hold: hold('not_refused') },
    { type: 'HoldPlaced', hold: hold('human') },
  ],
  HoldLifted: [{ type: 'HoldLifted', reason: 'drain_cap', about: 'g1', because: 'drained' }],
  RotationClosed: [
    { type: 'RotationClosed', outcome: 'closed', exceptions: [] },
    { type: 'RotationClosed', outcome: 'rolled-back', exceptions: ['aws was not read back'] },
    { type: 'RotationClosed', outcome: 'cancelled', exceptions: [] },
  ],
}

const judged = { type: 'EventJudged' as const, source: '/ci', id: '7', at: '2026-11-21T10:00:00.000Z' }
const deniedRequest = {
  type: 'RequestDenied' as const,
  principal: { type: 'User', id: 'ci-7' },
  action: 'contain',
  resource: { type: 'Credential', id: 'chat' },
  errors: [],
  digest: 'sha-256:ab',
}
const driftedStore = {
  store: 'vault',
  kind: 'foreign' as 'foreign' | 'other-generation' | 'rewritten' | 'missing',
  governed: '6',
  seen: '7' as string | null,
  shows: null as number | null,
}
const drift = {
  type: 'DriftFound' as const,
  credential: 'chat',
  drift: 7,
  generation: 2,
  stores: [driftedStore],
  again: false,
}

const knock = {
  type: 'DeadKeyUsed' as const,
  credential: 'chat',
  generation: 1,
  keyId: 'chat.g1',
  rotation: 'chat-g2',
  address: '203.0.113.9',
  client: null,
  declared: false,
  requests: 1,
  total: 1,
  addresses: 1,
  unlisted: false,
  nodes: ['n1'],
  firstAt: '2026-11-21T09:59:59.000Z',
  lastAt: '2026-11-21T09:59:59.000Z',
}

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
      'unknown-credential',
      'refused',
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
  NodeEnrolled: [
    { type: 'NodeEnrolled', node: 'n1', workload: 'chat' },
    { type: 'NodeEnrolled', node: 'n1', workload: 'chat', svid: 'spiffe://example.org/rekey/chat/n1' },
  ],
  NodeGone: [{ type: 'NodeGone', node: 'n1', reason: 'scaled in' }],
  NodeExcused: [
    {
      type: 'NodeExcused',
      node: 'n1',
      credentials: ['chat'],
      reason: 'in the workshop',
      until: '2026-11-21T12:00:00.000Z',
    },
  ],
  RecoveryStarted: [
    {
      type: 'RecoveryStarted',
      recovery: 'mi9x1q2z',
      reason: 'the disk died',
      credentials: ['chat'],
      rotations: ['chat-g2'],
    },
  ],
  CredentialInspected: (['agrees', 'newer', 'differs', 'nothing'] as const).map((verdict) => ({
    type: 'CredentialInspected',
    recovery: 'mi9x1q2z',
    credential: 'chat',
    verdict,
    stores: [
      { store: 'vault', current: 3 },
      { store: 'aws', current: null },
    ],
    generations: [{ generation: 3, tried: 'accepted' }],
  })),
  CredentialReleased: [
    {
      type: 'CredentialReleased',
      recovery: 'mi9x1q2z',
      credential: 'chat',
      generation: 3,
      rotation: 'chat-g3-mi9x1q2z',
      chosen: true,
      left: 1,
    },
    {
      type: 'CredentialReleased',
      recovery: 'mi9x1q2z',
      credential: 'chat',
      generation: null,
      rotation: null,
      chosen: false,
      left: 0,
    },
  ],
  Paused: [
    { type: 'Paused', credentials: ['chat'], until: '2026-11-21T12:00:00.000Z', reason: 'launch day' },
  ],
  PauseEnded: [{ type: 'PauseEnded', credentials: ['chat', 'other'], reason: 'launched' }],
  NotificationFailed: [false, true].map((gaveUp) => ({
    type: 'NotificationFailed',
    owner: 'team-ai',
    target: 'on-call',
    rotation: 'chat-g2',
    attempt: gaveUp ? 30 : 3,
    gaveUp,
    error: 'it answered 503',
  })),
  RequestDenied: [
    { ...deniedRequest, policies: ['deployers-give-no-orders', 'not-in-prod'], times: 1 },
    { ...deniedRequest, policies: [], times: 600 },
    { ...deniedRequest, policies: ['broken'], errors: ['integer overflow'], times: 1 },
    { ...deniedRequest, principal: null, action: null, resource: null, policies: [], times: 97 },
  ],
  ApprovalAsked: [
    {
      type: 'ApprovalAsked',
      approval: 'ap-0123456789ab',
      action: 'contain',
      resource: { type: 'Credential', id: 'chat' },
      blastRadius: 400,
      reason: 'in a build log',
      ticket: 'INC-7',
      expiresAt: '2026-11-21T10:15:00.000Z',
    },
  ],
  ApprovalGiven: [
    {
      type: 'ApprovalGiven',
      approval: 'ap-0123456789ab',
      requester: 'break-glass/ana',
      action: 'pause',
      resource: { type: 'System' },
      reason: 'ben saw it too',
    },
  ],
  BreakGlassOpened: [
    {
      type: 'BreakGlassOpened',
      token: '0a1b2c3d-0000',
      person: 'ana',
      endsAt: '2026-11-21T11:00:00.000Z',
    },
  ],
  BreakGlassUsed: [200, 403, null].map((status) => ({
    type: 'BreakGlassUsed',
    use: `use-${status}`,
    token: '0a1b2c3d-0000',
    person: 'ana',
    action: 'contain',
    resource: { type: 'credential', id: 'chat' },
    reason: status === 200 ? 'in a build log' : null,
    ticket: null,
    address: '10.0.0.7',
    at: '2026-11-21T09:59:00.000Z',
    status,
  })),
  PoliciesLoaded: [{ type: 'PoliciesLoaded', digest: 'sha-256:ab', policies: ['on-call', 'readers-look'] }],
  DeadKeyUsed: [
    knock,
    { ...knock, client: 'batch-jobs', declared: true, requests: 40, total: 41 },
    { ...knock, address: null, requests: 97, total: 97, addresses: 30, unlisted: true },
    {
      ...knock,
      address: null,
      requests: 0,
      total: 0,
      addresses: 0,
      unlisted: true,
      nodes: [],
      rotation: null,
    },
  ],
  AdoptionOrdered: [
    {
      type: 'AdoptionOrdered',
      credential: 'chat',
      generation: 1,
      rotation: 'chat-g1',
      reason: 'moving under Rekey',
      ticket: 'OPS-12',
    },
    {
      type: 'AdoptionOrdered',
      credential: 'chat',
      generation: 2,
      rotation: 'chat-g2',
      reason: 'the stores agree now',
      ticket: null,
    },
  ],
  DriftFound: [
    drift,
    {
      ...drift,
      again: true,
      stores: [
        { ...driftedStore, kind: 'other-generation', shows: 1 },
        { ...driftedStore, store: 'aws', kind: 'missing', seen: null },
      ],
    },
    {
      ...drift,
      stores: [{ ...driftedStore, kind: 'rewritten', shows: 2 }],
    },
  ],
  DriftSettlementOrdered: [null, 'OPS-13'].map((ticket) => ({
    type: 'DriftSettlementOrdered',
    credential: 'chat',
    drift: 7,
    generation: 2,
    rotation: 'chat-g3',
    reason: 'edited by mistake',
    ticket,
  })),
  DriftSettled: (['rotated', 'offboarded', 'restored'] as const).map((how) => ({
    type: 'DriftSettled',
    credential: 'chat',
    drift: 7,
    how,
    generation: how === 'offboarded' ? null : 2,
    rotation: how === 'rotated' ? 'chat-g3' : null,
  })),
  AuditHeartbeat: [{ type: 'AuditHeartbeat', intervalMs: 60_000 }],
}

const streamOf = {
  EventJudged: 'intake',
  EventConflicted: 'intake',
  ConfigurationChanged: 'configuration',
  JoinTokenMade: 'node/n1',
  NodeEnrolled: 'node/n1',
  NodeGone: 'node/n1',
  NodeExcused: 'node/n1',
  RecoveryStarted: 'recovery',
  CredentialInspected: 'recovery',
  CredentialReleased: 'recovery',
  Paused: 'pause',
  PauseEnded: 'pause',
  NotificationFailed: 'owner/team-ai',
  RequestDenied: 'policy',
  ApprovalAsked: 'approval/ap-0123456789ab',
  ApprovalGiven: 'approval/ap-0123456789ab',
  BreakGlassOpened: 'break-glass',
  BreakGlassUsed: 'break-glass',
  PoliciesLoaded: 'policy',
  DeadKeyUsed: 'credential/chat',
  AdoptionOrdered: 'credential/chat',
  DriftFound: 'credential/chat',
  DriftSettlementOrdered: 'credential/chat',
  DriftSettled: 'credential/chat',
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
  if (!/^(rotation|credential)\//.test(stream)) return entry
  const workload = { workload: 'chat', owner: 'team-ai', environment: 'prod', spiffeId: 'spiffe://x/chat' }
  const credential = { name: 'chat', ...workload }
  if (stream.startsWith('credential/')) return { ...entry, credential }
  return {
    ...entry,
    rotation: { id: stream.slice('rotation/'.length), credential: 'chat' },
    credential,
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
