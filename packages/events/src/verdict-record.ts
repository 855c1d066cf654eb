import { createHash } from 'node:crypto'
import type { Verdict } from '@rekey/contracts'
import { encode } from './encode.ts'
import type { OutgoingRecord } from './kafka-record.ts'
import { VERDICTS_TOPIC } from './topics.ts'

export const VERDICT_TYPE = 'dev.rekey.verdict.reached.v1'

/**
 * The record of `rekey.verdicts.v1`, keyed by the id of the event that was judged: a sender finds the answers to its
 * own events without reading others'. The verdict's own id follows from its content, so that a resend is a repeat.
 */
export function verdictRecord(verdict: Verdict): OutgoingRecord & { topic: string } {
  const content = JSON.stringify([verdict.source, verdict.id, verdict.verdict, verdict.at])
  const record = encode(
    {
      specversion: '1.0',
      id: createHash('sha256').update(content).digest('hex').slice(0, 32),
      source: '/rekey/intake',
      type: VERDICT_TYPE,
      time: verdict.at,
      subject: verdict.id,
      datacontenttype: 'application/json',
      extensions: {},
      data: verdict,
    },
    'binary',
  )
  return { ...record, topic: VERDICTS_TOPIC, key: verdict.id }
}
