import { connectVault } from '@rekey/backend-vault'
import { openLedger } from '@rekey/ledger'
import { startWorker } from '@rekey/queues'
import { createLogger, onShutdown, readConfig, secretFile, serveHealth } from '@rekey/runtime'
import { takeDelivery } from './delivery-effect.ts'
import { Environment } from './environment.ts'
import { Fleet } from './fleet.ts'
import { issueServerCertificate, keepRenewed, publishAuthority } from './server-certificate.ts'
import { followSvidBundle, readSvidBundle } from './svid-bundle.ts'
import { heedUrgency } from './urgency.ts'

const log = createLogger({ service: 'fleet' })

async function start(): Promise<void> {
  const env = readConfig(Environment)
  const { FLEET_SVID_ID: template, FLEET_SVID_BUNDLE_FILE: file } = env
  const svid = template && file ? { template, file, bundle: await readSvidBundle(file) } : undefined
  const ledger = openLedger({ url: env.DATABASE_URL, name: 'fleet' })
  const vault = connectVault({
    addr: env.VAULT_ADDR,
    roleId: secretFile(env.VAULT_ROLE_ID_FILE).reveal(),
    secretIdFile: env.VAULT_SECRET_ID_FILE,
  })
  const issue = () => issueServerCertificate(vault, { names: env.FLEET_SERVER_NAMES, host: env.FLEET_HOST })
  const certificate = await issue()
  await publishAuthority(env.FLEET_CA_FILE, certificate.tls.ca)

  const fleet = new Fleet({
    instance: env.FLEET_INSTANCE,
    host: env.FLEET_HOST,
    port: env.FLEET_PORT,
    enrolPort: env.FLEET_ENROL_PORT,
    heartbeatMs: env.HEARTBEAT_MS,
    readingMax: env.FLEET_READING_MAX,
    tls: certificate.tls,
    svid,
    ledger: ledger.fleet,
    vault,
    log,
  })
  await fleet.start()
  const renewal = keepRenewed(certificate, { issue, apply: (next) => fleet.renewTls(next.tls), log })
  const authorities =
    svid && followSvidBundle(svid.file, { first: svid.bundle, apply: (next) => fleet.trustSvids(next), log })
  const worker = startWorker({
    redisUrl: env.REDIS_URL,
    queue: `fleet-${env.FLEET_INSTANCE}`,
    concurrency: 4,
    reserved: 2,
    // Where one fails, the reconciliation makes up for it.
    handler: (job) => fleet.delivery.deliver(job),
    direct: {
      look: (wanted) => ledger.unattended({ ...wanted, worker: 'fleet' }),
      take: (effect) =>
        takeDelivery(effect, { ledger, delivery: fleet.delivery, worker: env.FLEET_INSTANCE }),
      onNews: ledger.onEffects,
    },
    logger: log,
  })
  const urgency = heedUrgency({ delivery: fleet.delivery, onNews: ledger.onEffects, logger: log })
  const health =
    env.FLEET_HEALTH_PORT === undefined
      ? undefined
      : await serveHealth({
          port: env.FLEET_HEALTH_PORT,
          host: env.FLEET_HOST,
          checks: [
            { name: 'ledger', run: () => ledger.ping() },
            { name: 'vault', run: () => vault.lookupSelf() },
          ],
        })

  onShutdown(log, async () => {
    renewal.stop()
    authorities?.stop()
    await Promise.all([worker.close(), urgency.close(), health?.close()])
    await fleet.stop()
    vault.close()
    await ledger.close()
  })
}

try {
  await start()
} catch (error) {
  log.error({ error }, 'the fleet service could not start')
  process.exit(1)
}
