import { openLedger } from '@rekey/ledger'
import { createLogger, onShutdown, readConfig, secretFile } from '@rekey/runtime'
import { Config } from './config.ts'
import { buildControl } from './control.ts'

const config = readConfig(Config)
const logger = createLogger({ service: 'control' })
const ledger = openLedger({ url: config.DATABASE_URL, name: 'control' })
const app = await buildControl({ ledger, token: secretFile(config.CONTROL_TOKEN_FILE), logger })
await app.listen({ port: config.CONTROL_PORT, host: config.CONTROL_HOST })
onShutdown(logger, async () => {
  await app.close()
  await ledger.close()
})
logger.info({ url: app.listeningOrigin }, 'control started')
