import { type Head, headersOf, headOf } from '@rekey/audit'
import type { AuditRecord } from '@rekey/ledger'
import type { Kafka, Producer } from 'kafkajs'
import { readTail } from './tail.ts'

/** The topic as the auditor sees it. `send` resolves once every replica has the records, in order. */
export type Topic = {
  /** The furthest record that it has; undefined: it has none. */
  head(): Promise<Head | undefined>
  send(records: AuditRecord[]): Promise<void>
  close(): Promise<void>
}

/**
 * After these a producer's own numbering does not fit the broker's any more, and it would never send again. A new one
 * may write records twice, which readers expect: they are byte-identical.
 */
const BEYOND_REPAIR = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_ID_MAPPING',
  'INVALID_PRODUCER_EPOCH',
])

/** More than two batches: the last ones may be repeats of earlier ones. */
const TAIL = 500

/** Does not touch Kafka before it is asked. A failed `send` is to be repeated with the same records. */
export function kafkaTopic(kafka: Kafka, topic: string): Topic {
  let producer: Producer | undefined
  let checked = false

  async function check(): Promise<void> {
    if (!checked) await checkPartitions(kafka, topic)
    checked = true
  }

  async function connect(): Promise<Producer> {
    await check()
    const connecting = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      // Whatever this gives up on, the caller sends again with the same producer, so nothing is reordered.
      retry: { retries: 4, initialRetryTime: 100, maxRetryTime: 1_000 },
    })
    try {
      await connecting.connect()
    } catch (error) {
      await connecting.disconnect().catch(() => undefined)
      throw error
    }
    return connecting
  }

  return {
    async head() {
      await check()
      return headOf(await readTail(kafka, topic, TAIL))
    },
    async send(records) {
      producer ??= await connect()
      const messages = records.map(({ key, bytes }) => {
        const headers = headersOf(bytes)
        const timestamp = String(Date.parse(headers.ce_time))
        return { key, value: bytes, headers, partition: 0, timestamp }
      })
      try {
        await producer.send({ topic, acks: -1, messages })
      } catch (error) {
        if (isBeyondRepair(error)) await this.close()
        throw error
      }
    },
    async close() {
      const closing = producer
      producer = undefined
      await closing?.disconnect().catch(() => undefined)
    },
  }
}

async function checkPartitions(kafka: Kafka, topic: string): Promise<void> {
  const admin = kafka.admin({ retry: { retries: 2, maxRetryTime: 1_000 } })
  try {
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const partitions = topics[0]?.partitions.length ?? 0
    if (partitions !== 1)
      throw new Error(`the topic ${topic} has ${partitions} partitions; a chain needs exactly one`)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

function isBeyondRepair(error: unknown): boolean {
  for (let link = error; link instanceof Error; link = link.cause)
    if ('type' in link && BEYOND_REPAIR.has(String(link.type))) return true
  return false
}
