import type { CloudEvent } from './cloud-event.ts'
import type { OutgoingRecord } from './kafka-record.ts'

/** The key is the extension `partitionkey` of CloudEvents, by which Kafka keeps what is said of one workload in order. */
export function encode(event: CloudEvent, mode: 'binary' | 'structured'): OutgoingRecord {
  const { data, extensions, datacontenttype = 'application/json', ...attributes } = event
  const key = extensions.partitionkey ?? event.subject ?? event.id
  if (mode === 'structured') {
    return {
      key,
      value: JSON.stringify({ ...attributes, datacontenttype, ...extensions, data }),
      headers: { 'content-type': 'application/cloudevents+json; charset=UTF-8' },
    }
  }
  const headers: Record<string, string> = { 'content-type': datacontenttype }
  for (const [name, value] of Object.entries({ ...attributes, ...extensions })) {
    headers[`ce_${name}`] = String(value)
  }
  return { key, value: JSON.stringify(data), headers }
}
