import { openLedger } from '@rekey/ledger'
import { createLogger, onShutdown, readConfig, serveHealth } from '@rekey/runtime'
import { connectKafka } from '@rekey/runtime/kafka'
import { startAuditor } from './auditor.ts'
import { Config } from './config.ts'
import { kafkaTopic } from './topic.ts'

const config = readConfig(Config)
const logger = createLogger({ service: 'auditor' })
const kafka = connectKafka({ brokers: config.KAFKA_BROKERS, clientId: 'rekey-auditor', logger })
const ledger = openLedger({ url: config.DATABASE_URL, name: 'auditor' })

const auditor = startAuditor({
  ledger,
  openTopic: () => kafkaTopic(kafka, config.AUDIT_TOPIC),
  logger,
  heartbeatMs: config.HEARTBEAT_MS,
})
const health = await serveHealth({
  port: config.HEALTH_PORT,
  checks: [
    { name: 'ledger', run: ledger.ping },
    {
      name: 'audit topic',
      run: async () => {
        if (auditor.topicFails()) throw new Error('the audit topic takes no records')
      },
    },
    {
      name: 'ledger behind',
      run: async () => {
        if (auditor.ledgerIsBehind()) throw new Error('run `rekey recover`')
      },
    },
  ],
})
onShutdown(logger, async () => {
  await auditor.stop()
  await Promise.all([health.close(), ledger.close()])
})
logger.info({ healthPort: health.port }, 'ready')
