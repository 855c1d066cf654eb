import { Queue } from 'bullmq'
import { connectRedis } from './connection.ts'
import type { Job } from './job.ts'

export type Queues = {
  /** Adds a job; the same id is added once while it waits. BullMQ refuses `:` in ids. */
  add(queue: string, id: string, job: Job): Promise<void>
  close(): Promise<void>
}

/** The sending side. Attempts are the ledger's business, so a job is tried once and leaves nothing behind. */
export function connectQueues(redisUrl: string): Queues {
  const redis = connectRedis(redisUrl)
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
    async add(name, id, job) {
      await queue(name).add('effect', job, {
        jobId: id,
        attempts: 1,
        removeOnComplete: true,
        removeOnFail: true,
      })
    },
    async close() {
      await Promise.all([...queues.values()].map((q) => q.close()))
      redis.disconnect()
    },
  }
}
