import { hostname } from 'node:os'
import { connectVault, vaultFingerprints } from '@rekey/backend-vault'
import type { CredentialSpec } from '@rekey/contracts'
import { LANES, type Lane, openLedger } from '@rekey/ledger'
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
const connect = (roleIdFile: string, secretIdFile: string) =>
  connectVault({ addr: env.VAULT_ADDR, roleId: secretFile(roleIdFile).reveal(), secretIdFile })
const vault = connect(env.VAULT_ROLE_ID_FILE, env.VAULT_SECRET_ID_FILE)
const proberVault = connect(env.PROBER_VAULT_ROLE_ID_FILE, env.PROBER_VAULT_SECRET_ID_FILE)

const name = `rotator/${hostname()}-${process.pid}`
const said = new Set<string>()

/**
 * What work goes through, for each lane its own: as many routine effects as there are slots use up the connections to the
 * ledger, and wait in line for them and for AWS's; an emergency has none of that before it. Vault's client has no bound.
 */
function openLane(lane: Lane) {
  const ledger = openLedger({
    url: env.DATABASE_URL,
    name: lane === 'emergency' ? 'rekey-rotator-emergency' : 'rekey-rotator',
  })
  const { REKEY_LEASE_MS: leaseMs, REKEY_ACT_MS: actMs } = env
  const leases = new Leases({ ledger, logger, worker: name, leaseMs, actMs })
  const stores = storesOf({ vault, awsCredentialsFile: env.AWS_CREDENTIALS_FILE })
  const proberStores = storesOf({ vault: proberVault })
  const handsOf = (spec: CredentialSpec) => ({
    stores: stores(spec),
    // The prober reads Vault only: one reading identity is enough to try a value.
    proberStores: proberStores({ ...spec, stores: spec.stores.filter((s) => s.kind === 'vault-kv') }),
    authority: nodesAuthority(spec.authority),
  })
  const workOn = (effect: string) =>
    work(effect, { ledger, leases, logger, worker: name, said, hands: ({ spec }) => handsOf(spec) })
  return { ledger, leases, stores, handsOf, workOn }
}

const lanes = { emergency: openLane('emergency'), routine: openLane('routine') }
const { ledger, stores, handsOf } = lanes.routine
const worker = startWorker({
  redisUrl: env.REDIS_URL,
  queue: 'rotator',
  concurrency: env.REKEY_CONCURRENCY,
  reserved: env.REKEY_RESERVED,
  handler: (job, lane) => lanes[lane].workOn(job.effect),
  direct: {
    look: (wanted) => lanes[wanted.lane].ledger.unattended({ ...wanted, worker: 'rotator' }),
    take: (effect, lane) => lanes[lane].workOn(effect),
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
  vault.close()
  proberVault.close()
  await Promise.all(
    LANES.map((lane) => {
      lanes[lane].leases.close()
      return lanes[lane].ledger.close()
    }),
  )
})
