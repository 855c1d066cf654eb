import { Kafka, logLevel } from 'kafkajs'
import type { Logger } from './logger.ts'

let muted = false

/** kafkajs 2.2.4 asks for a negative timeout at each connection, and Node 24 prints a warning of it. Others go on. */
function muteNegativeTimeouts(): void {
  if (muted) return
  muted = true
  const printers = process.listeners('warning')
  process.removeAllListeners('warning')
  process.on('warning', (warning) => {
    if (warning.name !== 'TimeoutNegativeWarning') for (const print of printers) print(warning)
  })
}

/** A kafkajs client whose log lines go through ours: it logs conditions that it retries as errors, so those become warnings. */
export function connectKafka(options: { brokers: string[]; clientId: string; logger: Logger }): Kafka {
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
  muteNegativeTimeouts()
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
