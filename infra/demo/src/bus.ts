import { readFileSync } from 'node:fs'
import { type CloudEvent, changesTopic, decode, encode, VERDICTS_TOPIC } from '@rekey/events'
import { Kafka, logLevel } from 'kafkajs'

const AUDIT_TOPIC = 'rekey.audit.v1'
const EVENT = new URL('../../../examples/events/zonechanged.json', import.meta.url)

/** What a pipeline and a SIEM do with Kafka: send events, read verdicts, read the audit topic from its beginning. */
export type Bus = {
  /** Sends the same event `times` times; returns its id. */
  sendZoneChange(times: number): Promise<string>
  /** How many verdicts came for an event, by kind. */
  verdicts(id: string): Record<string, number>
  audit(): string[]
  close(): Promise<void>
}

export async function connectBus(brokers: string[]): Promise<Bus> {
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
  const kafka = new Kafka({ clientId: 'demo', brokers, logLevel: logLevel.NOTHING })
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  const consumer = kafka.consumer({ groupId: `demo-${process.pid}`, maxWaitTimeInMs: 100 })
  const verdicts: { id: string; verdict: string }[] = []
  const audit: string[] = []
  await Promise.all([producer.connect(), consumer.connect()])
  await consumer.subscribe({ topics: [VERDICTS_TOPIC, AUDIT_TOPIC], fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ topic, message }) => {
      const text = message.value?.toString() ?? ''
      if (topic === AUDIT_TOPIC) audit.push(text)
      else verdicts.push(JSON.parse(text))
    },
  })
  const event = zoneChange()
  return {
    async sendZoneChange(times) {
      const record = encode(event, 'structured')
      await producer.send({
        topic: changesTopic('demo'),
        acks: -1,
        messages: Array.from({ length: times }, () => record),
      })
      return event.id
    },
    verdicts(id) {
      const counts: Record<string, number> = {}
      for (const v of verdicts) if (v.id === id) counts[v.verdict] = (counts[v.verdict] ?? 0) + 1
      return counts
    },
    audit: () => audit,
    async close() {
      await Promise.all([producer.disconnect(), consumer.disconnect()])
    },
  }
}

function zoneChange(): CloudEvent {
  const value = readFileSync(EVENT)
  const decoded = decode({ key: null, value, headers: { 'content-type': 'application/cloudevents+json' } })
  if (!decoded.ok) throw new Error(`examples/events/zonechanged.json: ${decoded.reason}`)
  return decoded.event
}
