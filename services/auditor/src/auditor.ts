import type { Ledger } from '@rekey/ledger'
import { Bell, type Logger, pause, retrying } from '@rekey/runtime'
import { settleHead } from './chain-head.ts'
import { recordAll } from './recording.ts'
import { sendAll, type TopicHealth } from './sending.ts'
import type { Topic } from './topic.ts'

export type Options = {
  ledger: Ledger
  /** A new one for each turn of duty. */
  openTopic: () => Topic
  logger: Logger
  heartbeatMs: number
}

export type Auditor = {
  /** The topic refuses or loses what is sent to it. */
  topicFails(): boolean
  /** The topic has records that the ledger does not know: an older backup was restored. */
  ledgerIsBehind(): boolean
  stop(): Promise<void>
}

const LOCK = 'auditor'
const POLL_MS = 1_000

/**
 * Journal entry → record with its place in the chain, stored → topic (all replicas) → mark → the rotation that waited is
 * told. A crash between any two repeats the step after it, and every step may be repeated.
 *
 * One auditor is on duty, the others wait for its lock. Should two believe to be on duty, the ledger refuses the second
 * record of a place, and the topic gets at worst the same bytes twice.
 */
export function startAuditor(options: Options): Auditor {
  const { ledger, logger } = options
  const stopping = new AbortController()
  const bell = new Bell()
  const health: TopicHealth = { failing: false, behind: false }
  const listening = ledger.onJournal(() => bell.ring())

  async function turn(): Promise<void> {
    const lock = await ledger.exclusive(LOCK)
    if (!lock) return pause(POLL_MS, stopping.signal)
    const lost = new AbortController()
    lock.onLost(() => lost.abort(new Error('the lock of the auditor was lost')))
    const signal = AbortSignal.any([stopping.signal, lost.signal])
    const topic = options.openTopic()
    logger.info('on duty')
    try {
      await duty(topic, signal)
    } finally {
      // A topic that another auditor now sends to is not this one's to complain about.
      health.failing = false
      health.behind = false
      lock.release()
      void topic.close()
      logger.info('off duty')
    }
  }

  async function duty(topic: Topic, signal: AbortSignal): Promise<void> {
    await settleHead({ ledger, topic, health, logger, signal })
    let beatAt = 0
    while (!signal.aborted) {
      await recordAll(ledger, signal)
      await sendAll({ ledger, topic, health, logger, signal })
      const onFault = (rotation: string, error: unknown) =>
        logger.error({ rotation, error }, 'a rotation could not be told that its intent is on the topic')
      while (!signal.aborted && (await ledger.settleIntents(onFault)) > 0);
      // Only here, with nothing unsent: beats that pile up during an outage would claim later that all was well.
      if (!signal.aborted && performance.now() >= beatAt) {
        await ledger.heartbeat(options.heartbeatMs)
        beatAt = performance.now() + options.heartbeatMs
        continue
      }
      await bell.wait(Math.max(1, Math.min(POLL_MS, beatAt - performance.now())), signal)
    }
  }

  const running = retrying(logger, 'auditing', stopping.signal, turn)
  return {
    topicFails: () => health.failing,
    ledgerIsBehind: () => health.behind,
    async stop() {
      stopping.abort()
      await running
      await listening.close()
    },
  }
}
