import { openLedger } from '@rekey/ledger'
import { createLogger, onShutdown, readConfig, serveHealth } from '@rekey/runtime'
import { connectKafka } from '@rekey/runtime/kafka'
import { Config } from './config.ts'
import { startIntake } from './intake.ts'

const config = readConfig(Config)
const logger = createLogger({ service: 'intake' })
const kafka = connectKafka({ brokers: config.KAFKA_BROKERS, clientId: 'rekey-intake', logger })
const ledger = openLedger({ url: config.DATABASE_URL, name: 'intake' })

const intake = await startIntake({
  kafka,
  inbox: ledger,
  logger,
  group: config.INTAKE_GROUP,
  topics: config.INTAKE_TOPICS,
  topicsCheckMs: config.INTAKE_TOPICS_CHECK_MS,
  sessionMs: config.INTAKE_SESSION_MS,
  onFatal: () => process.exit(1),
})
const health = await serveHealth({
  port: config.HEALTH_PORT,
  checks: [
    {
      name: 'consuming',
      run: async () => {
        const troubles = intake.troubles()
        if (troubles.length > 0) throw new Error(`waiting for ${troubles.join(', ')}`)
      },
    },
  ],
})
onShutdown(logger, async () => {
  await intake.stop()
  await Promise.all([health.close(), ledger.close()])
})
logger.info({ healthPort: health.port }, 'ready')
