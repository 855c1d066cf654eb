import { hostname } from 'node:os'
import { connectVault, vaultFingerprints } from '@rekey/backend-vault'
import type { CredentialSpec } from '@rekey/contracts'
import { openLedger } from '@rekey/ledger'
import { startWorker } from '@rekey/queues'
import { createLogger, onShutdown, readConfig, secretFile, serveHealth } from '@rekey/runtime'
import { Environment } from './environment.ts'
import { fingerprintAll } from './fingerprinting.ts'
import { inspectHeld } from './inspect.ts'
import { Leases } from './leases.ts'
import { nodesAuthority } from './nodes-authority.ts'
import { storesOf } from './stores.ts'
import { work } from './work.ts'

const env = readConfig(Environment)
const logger = createLogger({ service: 'rotator' })
const ledger = openLedger({ url: env.DATABASE_URL, name: 'rekey-rotator' })
const connect = (roleIdFile: string, secretIdFile: string) =>
  connectVault({ addr: env.VAULT_ADDR, roleId: secretFile(roleIdFile).reveal(), secretIdFile })
const vault = connect(env.VAULT_ROLE_ID_FILE, env.VAULT_SECRET_ID_FILE)
const proberVault = connect(env.PROBER_VAULT_ROLE_ID_FILE, env.PROBER_VAULT_SECRET_ID_FILE)
const stores = storesOf({ vault, awsCredentialsFile: env.AWS_CREDENTIALS_FILE })
const proberStores = storesOf({ vault: proberVault })

const name = `rotator/${hostname()}-${process.pid}`
const leases = new Leases({
  ledger,
  logger,
  worker: name,
  leaseMs: env.REKEY_LEASE_MS,
  actMs: env.REKEY_ACT_MS,
})
const handsOf = (spec: CredentialSpec) => ({
  stores: stores(spec),
  // The prober reads Vault only: one reading identity is enough to try a value.
  proberStores: proberStores({ ...spec, stores: spec.stores.filter((s) => s.kind === 'vault-kv') }),
  authority: nodesAuthority(spec.authority),
})
const said = new Set<string>()
const workOn = (effect: string) =>
  work(effect, {
    ledger,
    leases,
    logger,
    worker: name,
    said,
    hands: ({ spec }) => handsOf(spec),
  })
const worker = startWorker({
  redisUrl: env.REDIS_URL,
  queue: 'rotator',
  concurrency: env.REKEY_CONCURRENCY,
  handler: (job) => workOn(job.effect),
  direct: {
    look: (wanted) => ledger.unattended({ ...wanted, worker: 'rotator' }),
    take: workOn,
    onNews: ledger.onEffects,
  },
  logger,
})
const inspection = inspectHeld({ ledger, eyes: handsOf, worker: name, logger })
const fingerprinting = fingerprintAll({ ledger, stores, fingerprints: vaultFingerprints(vault), logger })
const health = await serveHealth({
  port: env.HEALTH_PORT,
  checks: [
    { name: 'ledger', run: ledger.ping },
    { name: 'vault', run: () => vault.lookupSelf() },
  ],
})
logger.info({ healthPort: health.port }, 'rotator started')

onShutdown(logger, async () => {
  await Promise.all([worker.close(), inspection.close(), fingerprinting.close(), health.close()])
  leases.close()
  vault.close()
  proberVault.close()
  await ledger.close()
})
