import type { AuditRecord, Ledger } from '@rekey/ledger'
import { type Logger, pause } from '@rekey/runtime'
import { cutBatch } from './batch.ts'
import type { Topic } from './topic.ts'

const PAGE = 200
const WAIT_MAX_MS = 5_000
/** The client retries by itself for half a minute before it says that anything is wrong. */
const SLOW_MS = 3_000

/** Says whether the topic takes records. */
export type TopicHealth = {
  failing: boolean
  /** It has records that the ledger does not know. */
  behind: boolean
}

export type Sending = {
  ledger: Pick<Ledger, 'unsentRecords' | 'markSent'>
  topic: Pick<Topic, 'send'>
  health: TopicHealth
  logger: Logger
  signal: AbortSignal
}

/**
 * Sends what is stored and unsent, in order, and marks it. A crash before the mark sends it again, byte-identical.
 * A failed batch is repeated as it is, because the broker knows a repeat only by the same records of the same producer.
 */
export async function sendAll(options: Sending): Promise<void> {
  const { ledger, signal } = options
  while (!signal.aborted) {
    const batch = cutBatch(await ledger.unsentRecords(PAGE))
    if (batch.length === 0) return
    await sendBatch(batch, options)
    if (signal.aborted) return
    await ledger.markSent(batch.map((record) => record.sequence))
  }
}

async function sendBatch(batch: AuditRecord[], options: Sending): Promise<void> {
  const { topic, health, logger, signal } = options
  const fails = () => {
    health.failing = true
  }
  const slow = setTimeout(fails, SLOW_MS)
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      await unless(signal, topic.send(batch))
      health.failing = false
      break
    } catch (error) {
      if (signal.aborted) break
      fails()
      logger.warn({ error, failures, sequence: batch[0]?.sequence }, 'the audit topic takes no records')
      await pause(Math.min(WAIT_MAX_MS, 100 * 2 ** failures), signal)
    }
  }
  clearTimeout(slow)
}

/** A send may take long to fail; who has to go leaves it behind, and the next one sends again. */
function unless(signal: AbortSignal, work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const leave = () => reject(signal.reason)
  signal.addEventListener('abort', leave)
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', leave))
}
