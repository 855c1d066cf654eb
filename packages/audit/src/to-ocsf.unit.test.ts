import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { sampleChain, sampleEntries, sampleEntry } from './samples.ts'
import { GENESIS, toOcsf } from './to-ocsf.ts'
import { validator } from './validator.ts'

const validate = validator()
const chain = { sequence: 1, previousHash: GENESIS.hash }
const parsed = (bytes: string) => JSON.parse(bytes)

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
      'text',
    ]
    for (const each of mangled.map((m) => JSON.parse(JSON.stringify(m))))
      expect(validate(each)).not.toEqual([])
  })
})

describe('a record', () => {
  const entry = sampleEntry({ type: 'RevocationStarted', generation: 1, at: 5 }, 'rotation/chat-g2', 7)
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
  })

  test('has the hash of its own bytes, and the same bytes each time', () => {
    expect(record.hash).toBe(createHash('sha256').update(record.bytes).digest('hex'))
    const shuffled = { ...entry, data: { at: 5, generation: 1 } }
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
      { type: 'WaveProved', purpose: 'widen', wave: 0, revision: 1, nodes, excused: [] },
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
