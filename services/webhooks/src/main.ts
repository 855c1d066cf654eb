import { connectVault, vaultFingerprints } from '@rekey/backend-vault'
import { type Fingerprints, RekeyError } from '@rekey/contracts'
import { createLogger, onShutdown, readConfig, secretFile, serveHealth } from '@rekey/runtime'
import { connectKafka } from '@rekey/runtime/kafka'
import { alertDigests } from './alert-value.ts'
import { Config, readSources } from './config.ts'
import { kafkaPublisher } from './publisher.ts'
import { type Identify, sendReports } from './reports.ts'
import { buildWebhooks } from './server.ts'
import { openSpool } from './spool.ts'

const config = readConfig(Config)
const logger = createLogger({ service: 'webhooks' })
const { sources, api } = readSources(config.WEBHOOKS_CONFIG_FILE, logger)
const vault = connectToVault()
const fingerprints = vault && vaultFingerprints(vault)
if (api && !fingerprints)
  throw new RekeyError(
    'invalid_configuration',
    'github.api asks for values, which are only known by their fingerprints: set VAULT_ADDR and its two files',
  )
const spool = await openSpool(config.WEBHOOKS_SPOOL_DIR, config.WEBHOOKS_SPOOL_MAX, logger)
const kafka = connectKafka({ brokers: config.KAFKA_BROKERS, clientId: 'rekey-webhooks', logger })
const publisher = kafkaPublisher(
  kafka,
  sources.map((source) => source.emitter),
  logger,
)
const reports = sendReports({
  spool,
  publish: publisher.publish,
  logger,
  ...(api && fingerprints && { identify: identifyBy(api, fingerprints) }),
})
const tls = tlsFiles()
const app = buildWebhooks({
  sources,
  publish: publisher.publish,
  reports,
  logger,
  changesPerMinute: config.WEBHOOKS_CHANGES_PER_MINUTE,
  ...(tls && { tls }),
})
// Of its own and on loopback: whoever posts from outside has no business in it.
const health = await serveHealth({
  port: config.HEALTH_PORT,
  checks: [
    { name: 'kafka', run: publisher.check },
    {
      name: 'reports of leaks',
      run: async () => {
        const { waiting, late } = reports.state()
        if (late) throw new Error(`${waiting} wait`)
      },
    },
  ],
})
await app.listen({ port: config.WEBHOOKS_PORT, host: config.WEBHOOKS_HOST })
onShutdown(logger, async () => {
  await app.close()
  await reports.close()
  vault?.close()
  await Promise.all([publisher.close(), health.close()])
})
logger.info(
  {
    url: app.listeningOrigin,
    healthPort: health.port,
    sources: sources.map((source) => source.name),
    found: spool.found.length,
  },
  'webhooks started',
)

function connectToVault() {
  const { VAULT_ADDR: addr, VAULT_ROLE_ID_FILE: roleId, VAULT_SECRET_ID_FILE: secretIdFile } = config
  if (!addr || !roleId || !secretIdFile) return undefined
  return connectVault({ addr, roleId: secretFile(roleId).reveal(), secretIdFile, timeoutMs: 3_000 })
}

function identifyBy(from: { url: string; tokenFile: string }, by: Fingerprints): Identify {
  const digestOfAlert = alertDigests(from)
  return async (alert, signal) => {
    const [fingerprint] = await by.of([await digestOfAlert(alert, signal)], { signal })
    if (fingerprint === undefined) throw new RekeyError('bad_response', 'Vault made no fingerprint')
    return fingerprint
  }
}

function tlsFiles(): { cert: string; key: string } | undefined {
  const { WEBHOOKS_TLS_CERT_FILE: cert, WEBHOOKS_TLS_KEY_FILE: key } = config
  return cert && key ? { cert: secretFile(cert).reveal(), key: secretFile(key).reveal() } : undefined
}
