import { setTimeout as delay } from 'node:timers/promises'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { Complaint } from './complaint.ts'
import { accepts } from './port.ts'

export type TopicOptions = { partitions?: number; config?: Record<string, string> }

/** Makes those of `names` that do not exist yet, and returns once each partition has a leader. */
export async function createTopics(
  stack: { kafka: { brokers: string[] } },
  names: readonly string[],
  options: TopicOptions = {},
): Promise<void> {
  await withAdmin(stack.kafka.brokers, 5, async (admin) => {
    const existing = new Set(await admin.listTopics())
    const missing = names.filter((name) => !existing.has(name))
    if (missing.length === 0) return
    const configEntries = Object.entries(options.config ?? {}).map(([name, value]) => ({ name, value }))
    await admin.createTopics({
      waitForLeaders: false,
      topics: missing.map((topic) => ({ topic, numPartitions: options.partitions ?? 1, configEntries })),
    })
    await untilLed(admin, missing)
  })
}

/** kafkajs can wait too, but gives up after a second and a half, which a busy machine may need. */
async function untilLed(admin: Admin, topics: readonly string[]): Promise<void> {
  const deadline = performance.now() + 30_000
  for (;;) {
    try {
      const metadata = await admin.fetchTopicMetadata({ topics: [...topics] })
      if (metadata.topics.every((topic) => topic.partitions.every((partition) => partition.leader >= 0)))
        return
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    if (performance.now() > deadline)
      throw new Complaint(`Kafka found no leader for ${topics.join(', ')}: see its log.`)
    await delay(50)
  }
}

/**
 * An open port is not enough, nor is a broker that stands in its own metadata: after a kill it takes a session's time
 * until it leads its partitions again. So each topic is asked for its end.
 */
export async function brokerServes(broker: string): Promise<boolean> {
  if (!(await accepts(Number(broker.split(':').at(-1))))) return false
  return withAdmin([broker], 0, async (admin) => {
    if ((await admin.describeCluster()).brokers.length === 0) return false
    for (const topic of await admin.listTopics()) await admin.fetchTopicOffsets(topic)
    return true
  }).catch(() => false)
}

async function withAdmin<T>(
  brokers: string[],
  retries: number,
  use: (admin: Admin) => Promise<T>,
): Promise<T> {
  const kafka = new Kafka({
    brokers,
    clientId: 'rekey-local',
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2_000,
    requestTimeout: 10_000,
    retry: { retries, initialRetryTime: 50 },
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    return await use(admin)
  } finally {
    await admin.disconnect().catch(() => {})
  }
}
