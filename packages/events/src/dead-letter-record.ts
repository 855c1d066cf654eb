import { createHash } from 'node:crypto'
import { encode } from './encode.ts'
import type { OutgoingRecord } from './kafka-record.ts'
import { DEAD_LETTER_TOPIC } from './topics.ts'

export const DEAD_LETTER_TYPE = 'dev.rekey.record.rejected.v1'

export type Rejected = {
  reason: string
  topic: string
  partition: number
  offset: string
  value: Buffer | null
  id?: string
  source?: string
  at: Date
}

/**
 * Why a record was refused, where it lies and how to recognise it, without the payload: nobody knows what is in a
 * record that cannot be read. Who may read the emitter's topic finds it there by partition and offset.
 */
export function deadLetterRecord(rejected: Rejected): OutgoingRecord & { topic: string } {
  const { reason, topic, partition, offset, value, id, source, at } = rejected
  const position = `${topic}/${partition}/${offset}`
  const record = encode(
    {
      specversion: '1.0',
      id: position,
      source: '/rekey/intake',
      type: DEAD_LETTER_TYPE,
      time: at.toISOString(),
      datacontenttype: 'application/json',
      extensions: {},
      data: {
        reason,
        topic,
        partition,
        offset,
        id: id ?? null,
        source: source ?? null,
        bytes: value?.length ?? 0,
        sha256: createHash('sha256')
          .update(value ?? '')
          .digest('hex'),
      },
    },
    'binary',
  )
  return { ...record, topic: DEAD_LETTER_TOPIC, key: position }
}
