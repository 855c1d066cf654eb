import { createHash } from 'node:crypto'
import type { Mode } from '@rekey/core'
import { describe, expect, test } from 'vitest'
import type { AuditableEntry, JournalEvent } from './entry.ts'
import { sampleChain, sampleEntries, sampleEntry } from './samples.ts'
import { GENESIS, toOcsf } from './to-ocsf.ts'
import { validator } from './validator.ts'

const validate = validator()
const chain = { sequence: 1, previousHash: GENESIS.hash }
const parsed = (bytes: string) => JSON.parse(bytes)

const revocation = (mode: Mode) => ({
  type: 'RevocationStarted' as const,
  generation: 1,
  mode,
  at: 5,
  lateUntil: 0,
  revokes: 0,
  withdraw: [],
})

/** The record of an event, as the ledger would hand it over. */
function recordOf(event: JournalEvent, change: Partial<AuditableEntry> = {}) {
  const record = parsed(toOcsf({ ...sampleEntry(event, 'rotation/chat-g2', 1), ...change }, chain).bytes)
  expect(validate(record)).toEqual([])
  return record
}

describe('every type of journal entry is valid OCSF 1.8.0', () => {
  const entries = sampleEntries()
  test.each(sampleChain(entries).map((record, index) => [entries[index]?.type, record] as const))(
    '%s',
    (type, { bytes }) => {
      const record = parsed(bytes)
      expect(validate(record)).toEqual([])
      expect(record.unmapped.rekey.type).toBe(type)
      expect(record.class_uid).not.toBe(0)
    },
  )

  test('and the check can fail: each of these manglings is noticed', () => {
    const record = parsed(
      toOcsf(sampleEntry({ type: 'SuccessorLive', generation: 2 }, 'rotation/c-g2', 1), chain).bytes,
    )
    const mangled = [
      { ...record, entity: undefined },
      { ...record, time: 'yesterday' },
      { ...record, activity_id: 42 },
      { ...record, type_uid: 200301 },
      { ...record, rekey: {} },
      { ...record, metadata: { ...record.metadata, version: undefined } },
      { ...record, actor: {} },
      { ...record, class_uid: 5003 },
      { ...record, class_uid: 2005 },
      'text',
    ]
    for (const each of mangled.map((m) => JSON.parse(JSON.stringify(m))))
      expect(validate(each)).not.toEqual([])
  })
})

describe('a record', () => {
  const entry = sampleEntry(revocation('rotate'), 'rotation/chat-g2', 7)
  const record = toOcsf(entry, { sequence: 9, previousHash: 'ab' })

  test('says who, what, when and which rotation', () => {
    expect(record.key).toBe('chat-g2')
    expect(parsed(record.bytes)).toMatchObject({
      class_uid: 3004,
      activity_name: 'Disable',
      time: Date.parse('2026-11-21T10:00:00.123Z'),
      actor: { user: { name: 'rotator' } },
      entity: { type: 'Credential', name: 'chat', version: '1' },
      metadata: { version: '1.8.0', uid: 'rekey-7', sequence: 9, correlation_uid: 'chat-g2' },
      unmapped: {
        record_integrity: { sequence: 9, previous_hash: 'ab', hash_algorithm: 'sha-256' },
        rekey: { type: 'RevocationStarted', data: { generation: 1, at: 5 } },
      },
    })
    expect(parsed(record.bytes).unmapped.rekey.waiver).toBeUndefined()
  })

  test('has the hash of its own bytes, and the same bytes each time', () => {
    expect(record.hash).toBe(createHash('sha256').update(record.bytes).digest('hex'))
    const shuffled = { ...entry, data: Object.fromEntries(Object.entries(entry.data).reverse()) }
    expect(toOcsf(shuffled, { sequence: 9, previousHash: 'ab' })).toEqual(record)
  })

  test('has its CloudEvents attributes in headers', () => {
    expect(record.headers).toEqual({
      ce_specversion: '1.0',
      ce_id: 'rekey-7',
      ce_source: '/rekey/audit',
      ce_type: 'dev.rekey.audit.RevocationStarted.v1',
      ce_time: '2026-11-21T10:00:00.123Z',
      ce_subject: 'chat-g2',
      'content-type': 'application/json',
    })
  })

  test.each([
    ['of a type that this version does not know', { type: 'Invented' }],
    ['without the fields that its type had when this was written', { type: 'RotationClosed', data: {} }],
  ])('%s is kept as a Base Event', (_, change) => {
    const { bytes } = toOcsf({ ...entry, ...change }, chain)
    expect(parsed(bytes)).toMatchObject({ class_uid: 0, unmapped: { rekey: change } })
    expect(validate(parsed(bytes))).toEqual([])
  })

  test('that Kafka would refuse for its size keeps the digest of its data and says so', () => {
    const nodes = Array.from({ length: 50_000 }, (_, n) => `gpu-node-${n}.example`)
    const large = sampleEntry(
      { type: 'WaveProved', purpose: 'widen', wave: 0, revision: 1, nodes, excused: [], lost: [] },
      'rotation/chat-g2',
      1,
    )
    const { bytes } = toOcsf(large, chain)
    expect(bytes.length).toBeLessThan(4_000)
    expect(parsed(bytes)).toMatchObject({
      metadata: { is_truncated: true },
      unmapped: { rekey: { data: { digest: expect.stringMatching(/^sha-256:[0-9a-f]{64}$/) } } },
    })
    expect(validate(parsed(bytes))).toEqual([])
  })
})

test('a hold is a finding that its lifting closes', () => {
  const hold = { reason: 'not_refused' as const, about: 'g1', detail: 'n1 accepted it', at: 1 }
  const [placed, lifted] = sampleChain([
    sampleEntry({ type: 'HoldPlaced', hold }, 'rotation/chat-g2', 1),
    sampleEntry(
      { type: 'HoldLifted', reason: 'not_refused', about: 'g1', because: 'refused now' },
      'rotation/chat-g2',
      2,
    ),
  ]).map(({ bytes }) => parsed(bytes))
  expect(placed).toMatchObject({ class_uid: 2003, activity_name: 'Create', severity: 'High', status: 'New' })
  expect(lifted).toMatchObject({ class_uid: 2003, activity_name: 'Close', status: 'Resolved' })
  expect(lifted.finding_info.uid).toBe(placed.finding_info.uid)
})

test("a human's hold is a finding that surprises nobody", () => {
  const hold = { reason: 'human' as const, about: 'chat-g2', detail: 'held by operator/ana: wait', at: 1 }
  const record = recordOf({ type: 'HoldPlaced', hold })
  expect(record).toMatchObject({ class_uid: 2003, severity: 'Low' })
  expect(record.message).toContain('held by operator/ana: wait')
})

describe('a denied request', () => {
  const denied = {
    type: 'RequestDenied' as const,
    principal: { type: 'User', id: 'ci-7' },
    action: 'contain',
    resource: { type: 'Credential', id: 'chat' },
    policies: ['deployers-give-no-orders'],
    errors: [],
    digest: 'sha-256:ab',
    times: 1,
  }
  const about = { stream: 'policy', actor: 'oidc/ci-7' }

  test('is a failed deed of who asked, with the policies that decided', () => {
    expect(recordOf(denied, about)).toMatchObject({
      class_uid: 3004,
      activity_name: 'Deny',
      status: 'Failure',
      severity: 'Low',
      message: 'User ci-7 may not contain Credential chat: denied by deployers-give-no-orders',
      entity: { type: 'Credential', uid: 'credential/chat', name: 'chat' },
      actor: {
        user: { name: 'oidc/ci-7', type: 'Unknown' },
        authorizations: [
          { decision: 'deny', policy: { uid: 'deployers-give-no-orders', version: 'sha-256:ab' } },
        ],
      },
    })
  })

  test('says so where nothing permits it, how often, and where a policy failed', () => {
    const none = recordOf({ ...denied, policies: [], times: 600 }, about)
    expect(none.message).toBe('User ci-7 may not contain Credential chat: no policy permits it, 600 times')
    expect(none.actor.authorizations).toEqual([
      { decision: 'deny', policy: { name: 'no policy permits it', version: 'sha-256:ab' } },
    ])
    expect(recordOf({ ...denied, policies: ['broken'], errors: ['overflow'] }, about).message).toContain(
      'a policy failed (broken, overflow)',
    )
  })

  test('that was not written down by itself is counted', () => {
    const rest = { ...denied, principal: null, action: null, resource: null, policies: [], times: 97 }
    const record = recordOf(rest, { stream: 'policy', actor: 'control' })
    expect(record).toMatchObject({ message: '97 further requests were denied', entity: { type: 'System' } })
    expect(record.actor.authorizations).toBeUndefined()
  })
})

describe('a knock with a dead key', () => {
  const knock = {
    type: 'DeadKeyUsed' as const,
    credential: 'chat',
    generation: 1,
    keyId: 'chat.g1',
    rotation: 'chat-g2',
    address: '203.0.113.9',
    client: null,
    declared: true,
    requests: 1,
    total: 1,
    addresses: 1,
    unlisted: false,
    nodes: ['n1', 'n2'],
    firstAt: '2026-11-21T09:59:58.000Z',
    lastAt: '2026-11-21T09:59:59.000Z',
  }
  const about = { stream: 'credential/chat', actor: 'fleet' }

  test('is a finding with credential, generation, node, address and count', () => {
    expect(recordOf(knock, about)).toMatchObject({
      class_uid: 2004,
      activity_name: 'Create',
      severity: 'High',
      is_alert: true,
      count: 1,
      message:
        '1 request with generation 1 of chat, which is dead, from 203.0.113.9 (no declared client) at n1, n2; refused',
      finding_info: {
        uid: 'knock/chat/1/203.0.113.9',
        first_seen_time: Date.parse('2026-11-21T09:59:58.000Z'),
        last_seen_time: Date.parse('2026-11-21T09:59:59.000Z'),
      },
      resources: [{ type: 'Credential', uid: 'credential/chat', version: '1' }],
      evidences: [
        { src_endpoint: { ip: '203.0.113.9' }, dst_endpoint: { name: 'n1' } },
        { src_endpoint: { ip: '203.0.113.9' }, dst_endpoint: { name: 'n2' } },
      ],
      unmapped: { rekey: { credential: { owner: 'team-ai' } } },
    })
  })

  test('that goes on updates it, and a declared client is less severe', () => {
    const on = recordOf({ ...knock, client: 'batch-jobs', requests: 9, total: 10 }, about)
    expect(on).toMatchObject({ activity_name: 'Update', severity: 'Medium', count: 9 })
    expect(on.message).toContain('9 requests')
    expect(on.message).toContain('203.0.113.9 (batch-jobs)')
    expect(on.message).toContain('10 in all')
  })

  test('of many addresses is a sum that says so', () => {
    const sum = { ...knock, address: null, requests: 40, total: 40, addresses: 40, unlisted: true }
    const record = recordOf(sum, about)
    expect(record.message).toContain('from 40 further addresses and from more addresses than are listed')
    expect(record.evidences[0]).toEqual({ dst_endpoint: { name: 'n1' } })
  })
})

test('what somebody changed in a store is one finding until the stores show what was written', () => {
  const about = { stream: 'credential/chat', actor: 'rotator' }
  const drift = { credential: 'chat', drift: 7, generation: 2 }
  const store = { store: 'vault', kind: 'foreign' as const, governed: '6', seen: '7', shows: null }
  const found = recordOf({ type: 'DriftFound', ...drift, stores: [store], again: false }, about)
  expect(found).toMatchObject({
    class_uid: 2003,
    activity_name: 'Create',
    severity: 'High',
    message: 'vault shows an unknown value (version 7 in place of 6); generation 2 is in use',
    finding_info: { uid: 'drift/chat/7' },
    resources: [{ uid: 'credential/chat', version: '2' }],
    compliance: { control: 'Stores show what Rekey wrote', status: 'Fail' },
  })
  const rewritten = { ...store, kind: 'rewritten' as const, shows: 2 }
  const again = recordOf({ type: 'DriftFound', ...drift, stores: [rewritten], again: true }, about)
  expect(again).toMatchObject({ activity_name: 'Update', severity: 'Low' })
  const settled = recordOf(
    { type: 'DriftSettled', ...drift, how: 'rotated', generation: 3, rotation: 'chat-g3' },
    about,
  )
  expect(settled).toMatchObject({
    activity_name: 'Close',
    status: 'Resolved',
    message: 'a rotation has replaced what was there (chat-g3)',
    finding_info: { uid: 'drift/chat/7' },
    compliance: { status: 'Pass' },
  })
})

describe('an emergency', () => {
  const cause = { kind: 'order' as const, actor: 'operator/ana', reason: 'in a log' }
  const [routine] = sampleEntries()
  const opened = (mode: Mode, compromised: number[]) =>
    recordOf({ ...routine?.data, type: 'RotationOpened', mode, compromised, cause } as JournalEvent)
  const closed = (outcome: 'closed' | 'rolled-back', mode?: Mode) =>
    recordOf(
      { type: 'RotationClosed', outcome, exceptions: [] },
      { rotation: { id: 'chat-g2', credential: 'chat', ...(mode ? { mode } : {}) } },
    )

  test('is one incident, of the team that owns the workload, until its rotation has ended', () => {
    const records = [
      opened('expedite', [1]),
      recordOf({ type: 'GenerationsCompromised', generations: [2], actor: 'operator/ben', reason: 'too' }),
      recordOf({ type: 'ModeRaised', mode: 'contain', because: 'base and successor both leaked' }),
      closed('closed', 'contain'),
    ]
    expect(records).toMatchObject([
      { class_uid: 2005, activity_name: 'Create', status: 'New', severity: 'High' },
      { class_uid: 2005, activity_name: 'Create', status: 'New', severity: 'High' },
      { class_uid: 2005, activity_name: 'Update', status: 'In Progress', severity: 'Critical' },
      { class_uid: 2005, activity_name: 'Close', status: 'Resolved', severity: 'Informational' },
    ])
    for (const record of records)
      expect(record).toMatchObject({
        assignee_group: { name: 'team-ai' },
        is_suspected_breach: true,
        finding_info_list: [{ uid: 'emergency/chat-g2' }],
        metadata: { profiles: ['host', 'incident'], correlation_uid: 'chat-g2' },
      })
    expect(records[0].message).toBe('expedite: generation 1 leaked, says operator/ana (order): in a log')
    expect(records[1].message).toBe('generation 2 leaked, says operator/ben: too')
  })

  test('that was rolled back is closed and not resolved; what was routine stays in its class', () => {
    expect(closed('rolled-back', 'expedite')).toMatchObject({ class_uid: 2005, status: 'Closed' })
    expect(closed('closed', 'rotate')).toMatchObject({ class_uid: 3004, status: 'Success' })
    expect(closed('closed')).toMatchObject({ class_uid: 3004, status: 'Success' })
    expect(opened('rotate', [])).toMatchObject({ class_uid: 3004, activity_name: 'Update' })
  })

  test('that contains says out loud who decided, and what was waived', () => {
    const record = recordOf({ ...revocation('contain'), withdraw: ['vault'] }, { actor: 'operator/ana' })
    expect(record).toMatchObject({
      class_uid: 3004,
      activity_name: 'Disable',
      severity: 'High',
      actor: { user: { name: 'operator/ana' } },
      entity: { name: 'chat', version: '1' },
      unmapped: {
        rekey: { data: { mode: 'contain' }, waiver: { mode: 'contain', decidedBy: 'operator/ana' } },
      },
    })
    expect(record.message).toMatch(
      /^revocation started in contain, decided by operator\/ana: nodes stop accepting it; vault to show it no longer\. Not waited for: .*\(I1\).*\(I2\).*\(I8\)/,
    )
    expect(record.unmapped.rekey.waiver.waived).toHaveLength(4)
  })

  test('that expedites waives less, and takes no worker for who decided', () => {
    const record = recordOf(revocation('expedite'), { actor: 'conductor' })
    expect(record).toMatchObject({
      severity: 'Medium',
      unmapped: { rekey: { waiver: { mode: 'expedite', decidedBy: null } } },
    })
    expect(record.message).not.toContain('decided by')
    expect(record.unmapped.rekey.waiver.waived).toHaveLength(2)
  })
})

test.each([
  [
    'RotationOpened',
    { id: 'chat-g2', mode: 'rotate', cause: { kind: 'change', reason: 'x' }, generation: 2 },
  ],
  ['WaveProved', { purpose: 'widen', wave: 0, revision: 1, nodes: ['n1'], excused: [] }],
  ['SuccessorAbandoned', { generation: 2, reason: 'x', actor: 'ada' }],
  ['RevocationStarted', { generation: 1, at: 5 }],
  ['FollowUpNoted', { cause: { kind: 'change', reason: 'x' } }],
])('%s of the first release, which said less, keeps its class', (type, data) => {
  const record = recordOf({ type: 'SuccessorLive', generation: 2 }, { type, data })
  expect(record).toMatchObject({ class_uid: 3004, metadata: { event_code: type } })
  expect(record.message).not.toMatch(/undefined|NaN/)
})
