import { randomUUID } from 'node:crypto'
import type { Kafka } from 'kafkajs'

/** Longer than the client needs to join its own group on a busy broker. */
const READ_MS = 20_000

/** The last records of a topic with one partition, oldest first; fewer, or none, where it has no more. */
export async function readTail(kafka: Kafka, topic: string, most: number): Promise<string[]> {
  const { low, high } = await offsetsOf(kafka, topic)
  if (high <= low) return []
  // A group of its own: one that a killed auditor has left behind would keep us waiting.
  const consumer = kafka.consumer({
    groupId: `rekey-auditor-${randomUUID()}`,
    maxWaitTimeInMs: 100,
    retry: { retries: 2, maxRetryTime: 1_000 },
  })
  const records: string[] = []
  const whole = Promise.withResolvers<void>()
  // It may fail before anybody awaits it, while the consumer still connects; that must not end the process.
  whole.promise.catch(() => undefined)
  const late = setTimeout(
    () => whole.reject(new Error(`the end of ${topic} could not be read in time`)),
    READ_MS,
  )
  consumer.on('consumer.crash', ({ payload }) => whole.reject(payload.error))
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        const offset = Number(message.offset)
        if (offset < high) records.push(String(message.value))
        if (offset >= high - 1) whole.resolve()
      },
    })
    consumer.seek({ topic, partition: 0, offset: String(Math.max(low, high - most)) })
    await whole.promise
    return records
  } finally {
    clearTimeout(late)
    await consumer.disconnect().catch(() => undefined)
  }
}

async function offsetsOf(kafka: Kafka, topic: string): Promise<{ low: number; high: number }> {
  const admin = kafka.admin({ retry: { retries: 2, maxRetryTime: 1_000 } })
  try {
    await admin.connect()
    const [partition] = await admin.fetchTopicOffsets(topic)
    return { low: Number(partition?.low ?? 0), high: Number(partition?.high ?? 0) }
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
