import { type Logger, pause, retrying } from '@rekey/runtime'
import { Worker } from 'bullmq'
import { connectRedis } from './connection.ts'
import { type Direct, takeDirectly } from './direct.ts'
import type { Job } from './job.ts'
import { LANES, type Lane, queueOf } from './lane.ts'
import { Slots } from './slots.ts'

export type WorkerOptions = {
  redisUrl: string
  /** Its name; emergencies come by a queue of their own beside it. */
  queue: string
  /** How many effects are worked on at once, woken for and taken directly together. */
  concurrency: number
  /** How many more of them if they are emergencies: routine work never takes these. */
  reserved: number
  /** One that throws is only reported: the ledger's lease brings the effect back. */
  handler: (job: Job, lane: Lane) => Promise<void>
  direct: Direct
  logger: Logger
}

/**
 * Works on what it is woken for by one queue and its emergencies' queue, and on what the ledger shows that it should have
 * been woken for. Needs neither Redis nor the ledger to start.
 */
export function startWorker(options: WorkerOptions): { close(): Promise<void> } {
  const slots = new Slots({ shared: options.concurrency, reserved: options.reserved })
  const woken = takeJobs(options, slots)
  const direct = takeDirectly(options.direct, slots, options.logger)
  return {
    async close() {
      await Promise.all([woken.close(), direct.close()])
    },
  }
}

/** Redis may go away while BullMQ says goodbye to it. */
const CLOSE_MS = 1_000

function takeJobs(options: WorkerOptions, slots: Slots) {
  const { redisUrl, concurrency, reserved, handler, logger } = options
  const redis = connectRedis(redisUrl, logger)
  const ending = new AbortController()
  const workers = new Map<Lane, Worker<Job>>()
  const take = (lane: Lane) => {
    const queue = queueOf(options.queue, lane)
    const report = (error: Error) => {
      // Each attempt to reach Redis, on each of its connections; `connectRedis` says it once.
      const isOutage = 'syscall' in error || redis.status !== 'ready'
      if (!isOutage && !ending.signal.aborted) logger.warn({ error, queue }, 'queue failed')
    }
    // A worker whose first words with Redis fail never works; a new one is made then.
    void retrying(logger, `take jobs (${lane})`, ending.signal, async () => {
      const made = new Worker<Job>(queue, (job) => slots.run(lane, () => handler(job.data, lane)), {
        connection: redis,
        concurrency: lane === 'emergency' ? concurrency + reserved : concurrency,
        autorun: false,
        // How long to wait before it looks for jobs again after an outage.
        runRetryDelay: 1_000,
        // A stalled job is given up, not run again: the ledger's lease brings its effect back sooner.
        maxStalledCount: 0,
      })
      workers.set(lane, made)
      made.on('error', report)
      made.on('failed', (job, error) => logger.warn({ effect: job?.data.effect, error }, 'job failed'))
      try {
        await made.waitUntilReady()
        await made.run()
      } catch (error) {
        await made.close(true)
        throw error
      }
    })
  }
  LANES.forEach(take)
  return {
    async close() {
      ending.abort()
      // With Redis away there is nothing to say goodbye to, and BullMQ would wait for it.
      const closed = Promise.all(
        [...workers.values()].map((worker) => worker.close(redis.status !== 'ready')),
      )
      await slots.untilIdle()
      const late = new AbortController()
      await Promise.race([closed, pause(CLOSE_MS, late.signal)])
      late.abort()
      redis.disconnect()
    },
  }
}
