import { describe, expect, test } from 'vitest'
import type { CloudEvent } from './cloud-event.ts'
import { decode, VALUE_BYTES_MAX } from './decode.ts'
import { encode } from './encode.ts'
import type { IncomingRecord, OutgoingRecord } from './kafka-record.ts'

const event: CloudEvent = {
  specversion: '1.0',
  id: 'e-1',
  source: '/ci/chat',
  type: 'dev.example.thing',
  subject: 'chat-gateway',
  time: '2026-11-21T10:00:00Z',
  datacontenttype: 'application/json',
  extensions: { traceparent: '00-ab' },
  data: { text: 'héllo', list: [1, null, true] },
}

/** As kafkajs would deliver it. */
function delivered(record: OutgoingRecord): IncomingRecord {
  const headers = Object.entries(record.headers).map(([name, value]) => [name, Buffer.from(value)] as const)
  return {
    key: Buffer.from(record.key),
    value: Buffer.from(record.value),
    headers: Object.fromEntries(headers),
  }
}

const binary = (headers: IncomingRecord['headers'] = {}, value?: Buffer | null): IncomingRecord => {
  const record = delivered(encode(event, 'binary'))
  return {
    ...record,
    headers: { ...record.headers, ...headers },
    value: value === undefined ? record.value : value,
  }
}

const structured = (change: object = {}, headers: IncomingRecord['headers'] = {}): IncomingRecord => {
  const record = delivered(encode(event, 'structured'))
  const value = Buffer.from(JSON.stringify({ ...JSON.parse(String(record.value)), ...change }))
  return { ...record, value, headers: { ...record.headers, ...headers } }
}

describe('decode', () => {
  test.each(['binary', 'structured'] as const)('reads back what encode wrote in %s mode', (mode) => {
    expect(decode(delivered(encode(event, mode)))).toEqual({ ok: true, event })
  })

  test('reads header names in any case and headers that are strings', () => {
    const { value } = binary()
    const headers = {
      CE_ID: 'e-1',
      Ce_Source: '/ci/chat',
      ce_type: 'dev.example.thing',
      ce_specversion: '1.0',
      'Content-Type': 'application/json; charset=utf-8',
    }
    expect(decode({ key: null, value, headers })).toMatchObject({ ok: true, event: { id: 'e-1' } })
  })

  test('takes data without a content type for JSON', () => {
    expect(decode(binary({ 'content-type': undefined }))).toMatchObject({
      ok: true,
      event: { data: event.data },
    })
  })

  test('ignores headers that are not CloudEvents, however often they come', () => {
    expect(decode(binary({ traceparent: [Buffer.from('a'), Buffer.from([0xff])] }))).toMatchObject({
      ok: true,
    })
  })

  test('reads data_base64 and keeps typed extensions in structured mode', () => {
    const base64 = Buffer.from('{"a":1}').toString('base64')
    expect(
      decode(structured({ data: undefined, data_base64: base64, sampled: true, rank: 3 })),
    ).toMatchObject({
      ok: true,
      event: { data: { a: 1 }, extensions: { sampled: true, rank: 3 } },
    })
  })

  test('takes null attributes of a structured event for absent', () => {
    const decoded = decode(structured({ subject: null }))
    expect(decoded.ok && 'subject' in decoded.event).toBe(false)
  })

  test('accepts headers beside a structured event that agree with it', () => {
    expect(decode(structured({}, { ce_id: Buffer.from('e-1') }))).toMatchObject({ ok: true })
  })

  test('takes a value of exactly the limit', () => {
    const value = Buffer.from(`"${'x'.repeat(VALUE_BYTES_MAX - 2)}"`)
    expect(decode(binary({}, value))).toMatchObject({ ok: true })
  })
})

const known = { id: 'e-1', source: '/ci/chat' }
const without = (name: string) => binary({ [name]: undefined })

describe('decode refuses, naming the field', () => {
  test.each<[string, IncomingRecord, string, object]>([
    ['a tombstone', binary({}, null), 'value: none (a tombstone)', known],
    ['an empty value', binary({}, Buffer.alloc(0)), 'value: empty', known],
    [
      '2 MB',
      binary({}, Buffer.alloc(2 * 1024 * 1024, 'x')),
      'value: 2097152 bytes are more than the limit of 1048576',
      known,
    ],
    ['malformed JSON', binary({}, Buffer.from('{"a":')), 'value: malformed JSON', known],
    ['a byte order mark', binary({}, Buffer.from('\ufeff{}')), 'value: malformed JSON', known],
    [
      'a value that is not UTF-8',
      binary({}, Buffer.from([0x22, 0xc3, 0x28, 0x22])),
      'value: not UTF-8',
      known,
    ],
    [
      'nesting without end',
      binary({}, Buffer.from('['.repeat(500_000) + ']'.repeat(500_000))),
      'value: JSON is nested deeper than 64 levels',
      known,
    ],
    ['no ce_id', without('ce_id'), 'header ce_id is missing', {}],
    ['no ce_source', without('ce_source'), 'header ce_source is missing', {}],
    ['no ce_type', without('ce_type'), 'header ce_type is missing', known],
    ['no ce_specversion', without('ce_specversion'), 'header ce_specversion is missing', known],
    ['no headers at all', { ...binary(), headers: {} }, 'header ce_specversion is missing', {}],
    ['an empty ce_id', binary({ ce_id: Buffer.alloc(0) }), 'header ce_id is empty', {}],
    [
      'another specversion',
      binary({ ce_specversion: Buffer.from('0.3') }),
      'header ce_specversion must be 1.0',
      known,
    ],
    [
      'a header twice',
      binary({ ce_type: [Buffer.from('a'), Buffer.from('a')] }),
      'header ce_type is given more than once',
      known,
    ],
    [
      'an id twice, whose owner is then unknown',
      binary({ ce_id: [Buffer.from('e-1'), Buffer.from('e-2')] }),
      'header ce_id is given more than once',
      {},
    ],
    [
      'a header twice in two cases',
      binary({ CE_ID: Buffer.from('x') }),
      'header ce_id is given more than once',
      {},
    ],
    [
      'a header that is not UTF-8',
      binary({ ce_subject: Buffer.from([0xff]) }),
      'header ce_subject is not UTF-8 text',
      known,
    ],
    [
      'a header with a NUL',
      binary({ ce_subject: Buffer.from('a\0b') }),
      'header ce_subject is not UTF-8 text',
      known,
    ],
    [
      'a long id',
      binary({ ce_id: Buffer.from('x'.repeat(513)) }),
      'header ce_id is longer than 512 bytes',
      {},
    ],
    [
      'a source with a space',
      binary({ ce_source: Buffer.from('a b') }),
      'header ce_source is not a URI reference',
      {},
    ],
    [
      'a time of day',
      binary({ ce_time: Buffer.from('noon') }),
      'header ce_time is not an RFC 3339 time',
      known,
    ],
    [
      'an odd attribute name',
      binary({ 'ce_my-name': Buffer.from('x') }),
      'header ce_*: a name is not lower-case letters and digits only',
      known,
    ],
    [
      'two content types',
      binary({ ce_datacontenttype: Buffer.from('text/plain') }),
      'header content-type and header ce_datacontenttype disagree',
      known,
    ],
    [
      'data that is not JSON',
      binary({ 'content-type': Buffer.from('application/xml') }),
      'header content-type: only JSON data is supported',
      known,
    ],
    [
      'another character set',
      binary({ 'content-type': Buffer.from('application/json; charset=latin1') }),
      'header content-type: only UTF-8 is supported',
      known,
    ],
    [
      'headers without end',
      binary({ ce_big: Buffer.alloc(70_000, 'x') }),
      'headers are larger than 65536 bytes',
      known,
    ],
    [
      'a batch',
      structured({}, { 'content-type': Buffer.from('application/cloudevents-batch+json') }),
      'header content-type: only application/cloudevents+json is supported, one event a record',
      {},
    ],
    ['a structured event without an id', structured({ id: undefined }), 'value.id is missing', {}],
    ['a structured id of another type', structured({ id: 7 }), 'value.id must be a string', {}],
    [
      'a structured extension of another type',
      structured({ more: {} }),
      'value.* must be a string, a boolean or an integer',
      known,
    ],
    [
      'a header that disagrees with the structured event',
      structured({}, { ce_id: Buffer.from('other') }),
      'header ce_id and value.id disagree',
      known,
    ],
    [
      'data given twice',
      structured({ data_base64: 'e30=' }),
      'value.data and value.data_base64 are both given',
      known,
    ],
    [
      'bad base64',
      structured({ data: undefined, data_base64: '***' }),
      'value.data_base64 is not base64',
      known,
    ],
    ['an array as the event', { ...structured(), value: Buffer.from('[]') }, 'value: not a JSON object', {}],
  ])('%s', (_, record, reason, who) => {
    expect(decode(record)).toEqual({ ok: false, reason, ...who })
  })
})
