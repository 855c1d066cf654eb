import type { Logger } from '@rekey/runtime'
import { Queue } from 'bullmq'
import { connectRedis } from './connection.ts'
import type { Job } from './job.ts'

export type Queues = {
  /** Whether Redis answers: without it a wake-up would wait in this process, and come when nobody needs it. */
  isReady(): boolean
  /** Told whenever Redis answers, for the first time or again. */
  onReady(heard: () => void): void
  /** Adds a job; the same id is added once while it waits. BullMQ refuses `:` in ids. */
  add(queue: string, id: string, job: Job): Promise<void>
  /** How many jobs nobody has taken yet. */
  waiting(queue: string): Promise<number>
  close(): Promise<void>
}

export class NoAnswer extends Error {}

/** With Redis frozen the client would wait for ever. */
const ANSWER_MS = 2_000

/**
 * The sending side. Attempts are the ledger's business, so a job is tried once and leaves nothing behind. Connects in
 * the background.
 */
export function connectQueues(redisUrl: string, logger?: Pick<Logger, 'info' | 'warn'>): Queues {
  const redis = connectRedis(redisUrl, logger)
  const queues = new Map<string, Queue>()
  const queue = (name: string) => {
    const known = queues.get(name)
    if (known) return known
    const made = new Queue(name, { connection: redis })
    made.on('error', () => undefined)
    queues.set(name, made)
    return made
  }
  return {
    isReady: () => redis.status === 'ready',
    onReady(heard) {
      redis.on('ready', heard)
    },
    async add(name, id, job) {
      const options = { jobId: id, attempts: 1, removeOnComplete: true, removeOnFail: true }
      await answered(queue(name).add('effect', job, options))
    },
    waiting: (name) => answered(queue(name).getWaitingCount()),
    async close() {
      if (redis.status === 'ready') await Promise.all([...queues.values()].map((q) => q.close()))
      redis.disconnect()
    },
  }
}

async function answered<T>(answer: Promise<T>): Promise<T> {
  answer.catch(() => undefined)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, ANSWER_MS, new NoAnswer('Redis does not answer'))
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
