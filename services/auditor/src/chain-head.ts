import type { Ledger } from '@rekey/ledger'
import { type Logger, pause } from '@rekey/runtime'
import type { TopicHealth } from './sending.ts'
import type { Topic } from './topic.ts'

const WAIT_MAX_MS = 5_000

/**
 * Compares the end of the topic with the ledger, before anything gets a place in the chain. A topic that is ahead says
 * that an older backup was restored: writing on would fork the chain, so this waits for a recovery, and goes on from
 * the topic's last record.
 */
export async function settleHead(options: {
  ledger: Pick<Ledger, 'acceptHead'>
  topic: Pick<Topic, 'head'>
  health: TopicHealth
  logger: Pick<Logger, 'error' | 'warn'>
  signal: AbortSignal
}): Promise<void> {
  const { ledger, topic, health, logger, signal } = options
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      await ledger.acceptHead(await topic.head())
      health.behind = false
      health.failing = false
      return
    } catch (error) {
      if (signal.aborted) return
      health.behind = isBehind(error)
      health.failing = !health.behind
      if (health.behind) logger.error({ error }, 'nothing is recorded: run rekey recover')
      else logger.warn({ error, failures }, 'the end of the audit topic cannot be read')
    }
    await pause(Math.min(WAIT_MAX_MS, 100 * 2 ** failures), signal)
  }
}

function isBehind(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ledger_behind'
}
