export type { Job } from './job.ts'
export { connectQueues, type Queues } from './queues.ts'
export { startWorker } from './worker.ts'
