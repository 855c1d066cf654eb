import { Kafka, logLevel } from 'kafkajs'
import type { Logger } from './logger.ts'

/** A kafkajs client whose log lines go through ours: it logs conditions that it retries as errors, so those become warnings. */
export function connectKafka(options: { brokers: string[]; clientId: string; logger: Logger }): Kafka {
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
  return new Kafka({
    clientId: options.clientId,
    brokers: options.brokers,
    logLevel: logLevel.WARN,
    retry: { initialRetryTime: 100, maxRetryTime: 5_000, retries: 10 },
    logCreator: () => (entry) => {
      const { message, error, broker, groupId } = entry.log
      options.logger.warn(
        { kafka: { message, error, broker, groupId, namespace: entry.namespace } },
        'kafka client',
      )
    },
  })
}
