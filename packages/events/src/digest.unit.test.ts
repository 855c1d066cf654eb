import { expect, test } from 'vitest'
import { decode } from './decode.ts'
import { digest } from './digest.ts'
import { encode } from './encode.ts'
import { newEvent } from './new-event.ts'

const event = newEvent(
  { type: 'zonechanged', workload: 'chat-gateway', environment: 'prod', facts: { zone: 'b' } },
  { id: 'e-1', source: '/ci/chat', at: new Date('2026-11-21T10:00:00Z') },
)

test('the digest is the same in either mode, for any order of keys, spaces, time and extensions', () => {
  const digests = (['binary', 'structured'] as const).map((mode) => {
    const { value, headers } = encode(event, mode)
    const spaced = Buffer.from(JSON.stringify(JSON.parse(value), undefined, 2))
    const decoded = decode({ key: null, value: spaced, headers })
    return decoded.ok ? digest(decoded.event) : decoded.reason
  })
  const { context, subject } = event.data as { context: object; subject: object }
  const reordered = {
    ...event,
    time: '2027-01-01T00:00:00Z',
    extensions: { hop: '2' },
    data: { subject, context },
  }
  expect(new Set([...digests, digest(event), digest(reordered)]).size).toBe(1)
})

test.each([
  ['id', { ...event, id: 'e-2' }],
  ['source', { ...event, source: '/other' }],
  ['type', { ...event, type: 'other' }],
  ['subject', { ...event, subject: 'other' }],
  ['data', { ...event, data: { ...(event.data as object), more: null } }],
])('another %s is another digest', (_, other) => {
  expect(digest(other)).not.toBe(digest(event))
})
