export type { Direct } from './direct.ts'
export type { Job } from './job.ts'
export { connectQueues, NoAnswer, type Queues } from './queues.ts'
export { startWorker } from './worker.ts'
