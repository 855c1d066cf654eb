import { randomUUID } from 'node:crypto'
import type { Bench } from './bench.ts'

/** What the audit topic lacks, doubles in other words, or has out of order, compared with the ledger's own records. */
export async function auditFaults({ kafka, database, world }: Bench): Promise<string[]> {
  const { rows } = await database.query<{ bytes: string; sequence: string }>(
    'select bytes, sequence from audit_out where sent_at is not null order by sequence',
  )
  const wanted = new Map(rows.map(({ bytes }, index) => [bytes, index]))
  const admin = kafka.admin()
  await admin.connect()
  const [offsets] = await admin.fetchTopicOffsets(world.auditTopic)
  await admin.disconnect()
  const end = Number(offsets?.high ?? 0)

  const faults: string[] = []
  let next = 0
  const consumer = kafka.consumer({ groupId: `crash-${randomUUID()}`, maxWaitTimeInMs: 100 })
  const { promise: read, resolve } = Promise.withResolvers<void>()
  await consumer.connect()
  await consumer.subscribe({ topics: [world.auditTopic], fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      const at = wanted.get(message.value?.toString() ?? '')
      if (at === undefined) faults.push(`the record at offset ${message.offset} is not in the ledger`)
      // A repeat is allowed; what comes first shall come in order.
      else if (at > next) faults.push(`record ${at} comes before record ${next}`)
      else if (at === next) next++
      if (Number(message.offset) >= end - 1) resolve()
    },
  })
  await read
  await consumer.disconnect()
  if (next < wanted.size) faults.push(`${wanted.size - next} records are missing`)
  return faults.slice(0, 10)
}
