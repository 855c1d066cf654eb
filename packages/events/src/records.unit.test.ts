import { createHash } from 'node:crypto'
import type { Verdict } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { deadLetterRecord } from './dead-letter-record.ts'
import { decode } from './decode.ts'
import { changesTopic, emitterOf } from './topics.ts'
import { verdictRecord } from './verdict-record.ts'

const verdict: Verdict = {
  source: '/ci/chat',
  id: 'e-1',
  verdict: 'no-change',
  reason: 'nothing differs',
  rotations: [],
  at: '2026-11-21T10:00:00.000Z',
}

test('a verdict is a CloudEvent of its own, keyed by the id of the event it answers', () => {
  const { topic, key, value, headers } = verdictRecord(verdict)
  expect({ topic, key }).toEqual({ topic: 'rekey.verdicts.v1', key: 'e-1' })
  expect(decode({ key: null, value: Buffer.from(value), headers })).toMatchObject({
    ok: true,
    event: { type: 'dev.rekey.verdict.reached.v1', source: '/rekey/intake', subject: 'e-1', data: verdict },
  })
})

test('a verdict sent again has the same id, and another verdict another one', () => {
  const ids = [verdict, verdict, { ...verdict, verdict: 'duplicate' as const }].map(
    (each) => verdictRecord(each).headers.ce_id,
  )
  expect(ids[0]).toBe(ids[1])
  expect(ids[0]).not.toBe(ids[2])
})

test('a dead letter says where the record lies and how to recognise it, and not what is in it', () => {
  const value = Buffer.from('{"password":"hunter2"')
  const record = deadLetterRecord({
    reason: 'value: malformed JSON',
    topic: 'rekey.changes.ci.v1',
    partition: 3,
    offset: '42',
    value,
    id: 'e-1',
    source: '/ci/chat',
    at: new Date('2026-11-21T10:00:00Z'),
  })
  expect(record).toMatchObject({ topic: 'rekey.dead-letter.v1', key: 'rekey.changes.ci.v1/3/42' })
  expect(JSON.parse(record.value)).toEqual({
    reason: 'value: malformed JSON',
    topic: 'rekey.changes.ci.v1',
    partition: 3,
    offset: '42',
    id: 'e-1',
    source: '/ci/chat',
    bytes: value.length,
    sha256: createHash('sha256').update(value).digest('hex'),
  })
  expect(JSON.stringify(record)).not.toContain('hunter2')
})

test('a tombstone has a dead letter too', () => {
  const at = new Date('2026-11-21T10:00:00Z')
  const record = deadLetterRecord({ reason: 'x', topic: 't', partition: 0, offset: '0', value: null, at })
  expect(JSON.parse(record.value)).toMatchObject({ bytes: 0, id: null, source: null })
})

test('the emitter is in the name of its topic', () => {
  expect(emitterOf(changesTopic('ci.chat'))).toBe('ci.chat')
  expect(emitterOf('legacy-topic')).toBe('legacy-topic')
})
