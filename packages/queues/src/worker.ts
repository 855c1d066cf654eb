import { Worker } from 'bullmq'
import { connectRedis } from './connection.ts'
import type { Job } from './job.ts'

/** Consumes one queue. A handler that throws is only reported: the ledger's lease brings the effect back. */
export async function startWorker(options: {
  redisUrl: string
  queue: string
  concurrency: number
  handler: (job: Job) => Promise<void>
  onError?: (error: Error) => void
}): Promise<{ close(): Promise<void> }> {
  const redis = connectRedis(options.redisUrl)
  const worker = new Worker<Job>(options.queue, (job) => options.handler(job.data), {
    connection: redis,
    concurrency: options.concurrency,
    // A stalled job is given up, not run again: the ledger's lease brings its effect back sooner.
    maxStalledCount: 0,
  })
  worker.on('error', (error) => options.onError?.(error))
  worker.on('failed', (_job, error) => options.onError?.(error))
  return {
    async close() {
      await worker.close()
      redis.disconnect()
    },
  }
}
