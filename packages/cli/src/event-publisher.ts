import { type CloudEvent, changesTopic, encode } from '@rekey/events'
import { Complaint } from './complaint.ts'

/**
 * Puts one event on its emitter's topic. Over Kafka and nothing else: who may speak in an emitter's name is said by the
 * broker, and a way around it through control would be one around that.
 */
export async function publish(
  event: CloudEvent,
  to: {
    brokers: string | undefined
    emitter: string /** A workload or a credential: what is said of one is kept in order. */
    about: string
  },
): Promise<{ topic: string; partition: number }> {
  const topic = changesTopic(to.emitter)
  const brokers = (to.brokers ?? '').split(',').flatMap((part) => part.trim() || [])
  if (brokers.length === 0)
    throw new Complaint(
      'bad_usage',
      'events go over Kafka, and KAFKA_BROKERS is not set',
      'Set KAFKA_BROKERS to host:port of a broker.',
    )
  withoutTimerWarnings()
  // Loaded here: no other verb needs it, and it takes a while.
  const { Kafka, logLevel } = await import('kafkajs')
  const kafka = new Kafka({
    clientId: 'rekey-cli',
    brokers,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 3_000,
    requestTimeout: 10_000,
    retry: { retries: 4, initialRetryTime: 100 },
  })
  const producer = kafka.producer({ allowAutoTopicCreation: false, idempotent: true, maxInFlightRequests: 1 })
  try {
    await producer.connect()
    const record = { ...encode(event, 'structured'), key: to.about }
    const [sent] = await producer.send({ topic, acks: -1, messages: [record] })
    return { topic, partition: sent?.partition ?? 0 }
  } catch (error) {
    throw refused(error, topic, brokers)
  } finally {
    await producer.disconnect().catch(() => undefined)
  }
}

/** kafkajs arms timers with a negative time, harmlessly; Node would say so to the person at the terminal. */
function withoutTimerWarnings(): void {
  const others = process.listeners('warning')
  process.removeAllListeners('warning')
  process.on('warning', (warning) => {
    if (warning.name !== 'TimeoutNegativeWarning') for (const tell of others) tell.call(process, warning)
  })
}

/** What the broker said, under however many wrappers of kafkajs. */
function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return 'type' in error && typeof error.type === 'string' ? error.type : typeOf(error.cause)
}

function refused(error: unknown, topic: string, brokers: string[]): Complaint {
  const type = typeOf(error)
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION')
    return new Complaint(
      'not_found',
      `Kafka has no topic ${topic}`,
      'Check --emitter; each emitter has its own topic, which the owner of the broker makes.',
    )
  if (type.endsWith('AUTHORIZATION_FAILED'))
    return new Complaint(
      'permission_denied',
      `Kafka does not let you write to ${topic}`,
      'Only the emitter itself may speak in its name: use your own --emitter.',
    )
  return new Complaint(
    'backend_unavailable',
    `cannot send over Kafka at ${brokers.join(', ')}: ${error instanceof Error ? error.message : String(error)}`,
    'Check that the broker runs and that KAFKA_BROKERS names it; sending the same event again is harmless.',
  )
}
