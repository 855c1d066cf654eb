import { connectVault, vaultFingerprints } from '@rekey/backend-vault'
import { openLedger } from '@rekey/ledger'
import { createLogger, onShutdown, readConfig, secretFile } from '@rekey/runtime'
import { Config } from './config.ts'
import { buildControl } from './control.ts'

const config = readConfig(Config)
const logger = createLogger({ service: 'control' })
const ledger = openLedger({ url: config.DATABASE_URL, name: 'control' })
const { VAULT_ADDR: addr, VAULT_ROLE_ID_FILE: roleId, VAULT_SECRET_ID_FILE: secretIdFile } = config
const vault =
  addr && roleId && secretIdFile
    ? connectVault({ addr, roleId: secretFile(roleId).reveal(), secretIdFile, timeoutMs: 3_000 })
    : undefined
const app = await buildControl({
  ledger,
  token: secretFile(config.CONTROL_TOKEN_FILE),
  logger,
  ...(vault && { fingerprints: vaultFingerprints(vault) }),
})
await app.listen({ port: config.CONTROL_PORT, host: config.CONTROL_HOST })
onShutdown(logger, async () => {
  await app.close()
  vault?.close()
  await ledger.close()
})
logger.info({ url: app.listeningOrigin }, 'control started')
