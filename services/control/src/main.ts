import { connectVault, vaultFingerprints } from '@rekey/backend-vault'
import { openLedger } from '@rekey/ledger'
import { createLogger, onShutdown, readConfig, retrying, secretFile } from '@rekey/runtime'
import { Config } from './config.ts'
import { buildControl } from './control.ts'
import { readSettings } from './settings.ts'

const config = readConfig(Config)
const logger = createLogger({ service: 'control' })
const settings = await readSettings(config, logger)
const ledger = openLedger({ url: config.DATABASE_URL, name: 'control' })
const { VAULT_ADDR: addr, VAULT_ROLE_ID_FILE: roleId, VAULT_SECRET_ID_FILE: secretIdFile } = config
const vault =
  addr && roleId && secretIdFile
    ? connectVault({ addr, roleId: secretFile(roleId).reveal(), secretIdFile, timeoutMs: 3_000 })
    : undefined
const app = await buildControl({
  ledger,
  logger,
  ...settings,
  ...(vault && { fingerprints: vaultFingerprints(vault) }),
})
await app.listen({ port: config.CONTROL_PORT, host: config.CONTROL_HOST })
const noted = new AbortController()
onShutdown(logger, async () => {
  noted.abort()
  await app.close()
  vault?.close()
  await ledger.close()
})
logger.info({ url: app.listeningOrigin }, 'control started')

const { policies } = settings
// The record says which policies decide from here on. A ledger that is away is no reason to wait with the start.
if (policies)
  await retrying(logger, 'journal the policies', noted.signal, async () => {
    await ledger.recordPolicies({ actor: 'control', digest: policies.digest, policies: policies.ids })
    noted.abort()
  })
