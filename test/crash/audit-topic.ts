import { randomUUID } from 'node:crypto'
import type { Bench } from './bench.ts'

/**
 * What the audit topic lacks, doubles in other words, or has out of order, compared with the ledger's own records. The auditor
 * goes on meanwhile: what was sent by the first look must be there, and what is there must be stored by the last one.
 */
export async function auditFaults({ kafka, database, world }: Bench): Promise<string[]> {
  const sent = await database.query<{ n: string }>(
    'select count(*) as n from audit_out where sent_at is not null',
  )
  const admin = kafka.admin()
  await admin.connect()
  const [offsets] = await admin.fetchTopicOffsets(world.auditTopic)
  await admin.disconnect()
  const end = Number(offsets?.high ?? 0)
  const { rows } = await database.query<{ bytes: string }>('select bytes from audit_out order by sequence')
  const wanted = new Map(rows.map(({ bytes }, index) => [bytes, index]))

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
  const missing = Number(sent.rows[0]?.n) - next
  if (missing > 0) faults.push(`${missing} records are missing`)
  return faults.slice(0, 10)
}
