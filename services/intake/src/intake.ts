import type { OutgoingRecord } from '@rekey/events'
import type { Logger } from '@rekey/runtime'
import type { EachBatchPayload, Kafka, Producer } from 'kafkajs'
import type { Inbox } from './inbox.ts'
import { Interrupted, Patience } from './patience.ts'
import { Recent } from './recent.ts'
import { type Judge, judgeSlice } from './slice.ts'

export type Options = {
  kafka: Kafka
  inbox: Inbox
  logger: Logger
  group: string
  topics: (topic: string) => boolean
  topicsCheckMs: number
  /** So long after a crash do its partitions stand still, unless it ended in good order. */
  sessionMs: number
  /** The consumer ended for good; nothing is left but to restart the process. */
  onFatal: (error: Error) => void
}

export type Intake = {
  /** What intake waits for now; none: it is well. */
  troubles(): string[]
  stop(): Promise<void>
}

/** Verdicts are published and offsets committed after so many records, however large the batch. */
const SLICE = 250
const PARTITIONS_AT_ONCE = 4

/**
 * Record → verdict in the ledger → verdict on Kafka (all replicas) → offset, in this order. A crash between any two
 * repeats the record, and the ledger knows a repeat.
 */
export async function startIntake(options: Options): Promise<Intake> {
  const { kafka, inbox, logger, group, topics } = options
  const stopping = new AbortController()
  const patience = new Patience(logger, stopping.signal)
  const judge: Judge = { inbox, patience, recent: new Recent(), now: () => new Date() }
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  const admin = kafka.admin()
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: options.sessionMs,
    heartbeatInterval: Math.floor(options.sessionMs / 3),
    maxWaitTimeInMs: 200,
    allowAutoTopicCreation: false,
  })
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
    logger.error({ error, restart }, 'consumer crashed')
    if (!restart && !stopping.signal.aborted) options.onFatal(error)
  })
  await Promise.all([producer.connect(), admin.connect(), consumer.connect()])

  const eachBatch = async (payload: EachBatchPayload) => {
    const { topic, partition } = payload.batch
    try {
      for (let at = 0; at < payload.batch.messages.length; at += SLICE) {
        if (!payload.isRunning() || payload.isStale() || stopping.signal.aborted) return
        await handle(payload, payload.batch.messages.slice(at, at + SLICE))
      }
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error
      logger.info({ topic, partition }, 'stopped before the end of a batch, which will come again')
    }
  }

  async function handle(payload: EachBatchPayload, messages: EachBatchPayload['batch']['messages']) {
    const { topic, partition } = payload.batch
    const last = messages.at(-1)
    if (last === undefined) return
    const records = messages.map(({ key, value, headers, offset }) => {
      return { key, value, headers: headers ?? {}, topic, partition, offset }
    })
    const outgoing: (OutgoingRecord & { topic: string })[] = []
    const counts: Record<string, number> = {}
    try {
      await judgeSlice(records, judge, payload.heartbeat, (answer) => {
        outgoing.push(...answer.records)
        const name = answer.verdict?.verdict ?? 'dead letter'
        counts[name] = (counts[name] ?? 0) + 1
      })
    } finally {
      // Where a record was not handled, the answers to the others are sent all the same: when they come again, the
      // ledger has only "duplicate" to say of them.
      await patience.until('Kafka', () => send(producer, outgoing), payload.heartbeat)
    }
    payload.resolveOffset(last.offset)
    await commit(payload, String(BigInt(last.offset) + 1n))
    logger.info({ topic, partition, offset: last.offset, verdicts: counts }, 'records judged')
    await payload.heartbeat()
  }

  /** A consumer that is being stopped leaves its group only after this batch, but its own `commitOffsets` does nothing any more. */
  async function commit({ batch, isRunning, commitOffsetsIfNecessary }: EachBatchPayload, offset: string) {
    const { topic, partition } = batch
    if (isRunning()) await consumer.commitOffsets([{ topic, partition, offset }])
    else await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] })
  }

  /** kafkajs resolves patterns only when it subscribes, so that a new emitter's topic means to subscribe again. */
  const following = new Set<string>()
  async function follow() {
    const found = (await admin.listTopics()).filter(topics)
    const added = found.filter((topic) => !following.has(topic))
    if (added.length === 0 || stopping.signal.aborted) return
    if (following.size > 0) await consumer.stop()
    for (const topic of added) following.add(topic)
    await consumer.subscribe({ topics: [...following], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: PARTITIONS_AT_ONCE,
      eachBatch,
    })
    logger.info({ topics: [...following] }, 'following topics')
  }

  await follow()
  let checking = Promise.resolve()
  const timer = setInterval(() => {
    checking = checking.then(follow).catch((error: unknown) => {
      logger.warn({ error }, 'cannot look for new topics')
    })
  }, options.topicsCheckMs)

  return {
    troubles: () =>
      following.size === 0 ? ['a topic to follow', ...patience.troubles] : [...patience.troubles],
    async stop() {
      stopping.abort()
      clearInterval(timer)
      await checking
      await consumer.disconnect()
      await Promise.all([producer.disconnect(), admin.disconnect()])
    },
  }
}

/** One request for everything. A resend after a lost answer repeats records, with the same ids. */
async function send(producer: Producer, records: (OutgoingRecord & { topic: string })[]): Promise<void> {
  if (records.length === 0) return
  const byTopic = Map.groupBy(records, (record) => record.topic)
  await producer.sendBatch({
    acks: -1,
    topicMessages: [...byTopic].map(([topic, messages]) => ({
      topic,
      messages: messages.map(({ key, value, headers }) => ({ key, value, headers })),
    })),
  })
}
