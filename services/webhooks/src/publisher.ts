import { RekeyError } from '@rekey/contracts'
import { type CloudEvent, changesTopic, encode } from '@rekey/events'
import type { Logger } from '@rekey/runtime'
import type { Kafka } from 'kafkajs'

/** Returns when every replica that must have it has it. */
export type Publish = (emitter: string, event: CloudEvent) => Promise<void>

/** Senders wait for at most ten seconds. One that is told no too early only sends again. */
const SEND_MS = 6_000

export function kafkaPublisher(kafka: Kafka, emitters: readonly string[], logger: Logger) {
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    retry: { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000 },
  })
  const admin = kafka.admin({ retry: { retries: 0 } })
  const producing = connected(() => producer.connect())
  const asking = connected(() => admin.connect())
  // Kafka may be away: deliveries then wait in the spool, or are refused.
  producing().catch((error: unknown) => logger.warn({ error }, 'Kafka cannot be reached yet'))

  const publish: Publish = async (emitter, event) => {
    const topic = changesTopic(emitter)
    const send = async () => {
      await producing()
      await producer.send({ topic, acks: -1, messages: [encode(event, 'structured')] })
    }
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => late.reject(new RekeyError('backend_timeout', `send to ${topic}`)),
      SEND_MS,
    )
    try {
      await Promise.race([send(), late.promise])
    } catch (error) {
      if (RekeyError.is(error)) throw error
      // Its message names hosts and topics, never a record.
      throw new RekeyError(
        'backend_unavailable',
        `send to ${topic}: ${error instanceof Error ? error.message : 'failed'}`,
      )
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    publish,
    /** Throws where Kafka is away, or has no topic for an emitter. */
    async check(): Promise<void> {
      await asking()
      const topics = new Set(await admin.listTopics())
      const missing = emitters.map(changesTopic).filter((topic) => !topics.has(topic))
      if (missing.length > 0) throw new Error(`there is no topic ${missing.join(', ')}`)
    },
    async close(): Promise<void> {
      await Promise.allSettled([producer.disconnect(), admin.disconnect()])
    },
  }
}

/** Connects once, and again where that failed. */
function connected(connect: () => Promise<void>): () => Promise<void> {
  let connection: Promise<void> | undefined
  return () => {
    connection ??= connect().catch((error: unknown) => {
      connection = undefined
      throw error
    })
    return connection
  }
}
