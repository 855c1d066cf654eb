import { Kafka, CloudEvent as Oracle } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import { decode } from './decode.ts'
import { encode } from './encode.ts'
import { newEvent } from './new-event.ts'

/** The CloudEvents project's own SDK, on the other side of the wire. */

const ours = newEvent(
  { type: 'zonechanged', workload: 'chat-gateway', environment: 'prod', facts: { zone: 'eu-central-1b' } },
  { id: 'e-1', source: '/ci/chat', at: new Date('2026-11-21T10:00:00.000Z') },
)

describe('the cloudevents SDK', () => {
  test.each(['binary', 'structured'] as const)('reads what we write in %s mode', (mode) => {
    const { key, value, headers } = encode(ours, mode)
    const message = { key, value, headers, body: value, timestamp: '' }
    const [read] = [Kafka.toEvent(message)].flat()
    expect(read).toMatchObject({ id: ours.id, source: ours.source, type: ours.type, subject: ours.subject })
    const data = typeof read?.data === 'string' ? JSON.parse(read.data) : read?.data
    expect(data).toEqual(ours.data)
  })

  test.each(['binary', 'structured'] as const)('writes what we read in %s mode', (mode) => {
    const { extensions, ...attributes } = ours
    const event = new Oracle({ ...attributes, ...extensions } as ConstructorParameters<typeof Oracle>[0])
    const message = mode === 'binary' ? Kafka.binary(event) : Kafka.structured(event)
    // The SDK leaves object data an object and calls it the value; a producer would have to write it as JSON.
    const value = typeof message.value === 'string' ? message.value : JSON.stringify(message.value)
    const headers = Object.entries(message.headers)
      .filter(([, text]) => text !== undefined)
      .map(([name, text]) => [name, Buffer.from(String(text))])
    const decoded = decode({ key: null, value: Buffer.from(value), headers: Object.fromEntries(headers) })
    expect(decoded).toMatchObject({ ok: true })
    expect(decoded.ok && { ...decoded.event, datacontenttype: ours.datacontenttype }).toEqual(ours)
  })
})
