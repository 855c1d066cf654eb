import { hostname } from 'node:os'
import { awsQuotas } from '@rekey/backend-aws'
import { connectVault, vaultFingerprints } from '@rekey/backend-vault'
import type { CredentialSpec } from '@rekey/contracts'
import { LANES, type Lane, type Leased, openLedger } from '@rekey/ledger'
import { startWorker } from '@rekey/queues'
import { createLogger, onShutdown, readConfig, secretFile, serveHealth } from '@rekey/runtime'
import { authoritiesOf } from './authorities.ts'
import { connectionsOf } from './connections.ts'
import { watchDrift } from './drift.ts'
import { Environment } from './environment.ts'
import { fingerprintAll } from './fingerprinting.ts'
import { inspectHeld } from './inspect.ts'
import { inventoriesOf } from './inventories.ts'
import { scanInventory } from './inventory.ts'
import { Leases } from './leases.ts'
import { noteOf } from './note.ts'
import { observeDrains } from './observe.ts'
import { storesOf } from './stores.ts'
import { work } from './work.ts'

const env = readConfig(Environment)
const logger = createLogger({ service: 'rotator' })
const connect = (roleIdFile: string, secretIdFile: string) =>
  connectVault({ addr: env.VAULT_ADDR, roleId: secretFile(roleIdFile).reveal(), secretIdFile })
const vault = connect(env.VAULT_ROLE_ID_FILE, env.VAULT_SECRET_ID_FILE)
const proberVault = connect(env.PROBER_VAULT_ROLE_ID_FILE, env.PROBER_VAULT_SECRET_ID_FILE)

/** One for both lanes: AWS counts the account, and emergencies go first in it. */
const aws = {
  awsCredentialsFile: env.AWS_CREDENTIALS_FILE,
  awsQuotas: awsQuotas({ writesPerS: env.REKEY_AWS_WRITES_PER_S }),
}
const connections = connectionsOf({
  dir: env.REKEY_CONNECTIONS_DIR,
  vaultAddr: env.VAULT_ADDR,
  vault,
  ...aws,
})
const authorityOf = authoritiesOf(connections, env.REKEY_ACT_MS)

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
  const stores = storesOf({ vault, ...aws })
  const proberStores = storesOf({ vault: proberVault })
  const handsOf = (spec: CredentialSpec, credential: string, keyIds: Record<number, string> = {}) => ({
    stores: stores(spec),
    // The prober reads Vault only: one reading identity is enough to try a value.
    proberStores: proberStores({ ...spec, stores: spec.stores.filter((s) => s.kind === 'vault-kv') }),
    authority: authorityOf(spec.authority, keyIds, credential),
  })
  const hands = (leased: Leased) => ({
    ...handsOf(leased.spec, leased.rotation.credential, leased.keyIds),
    note: noteOf(ledger, leased),
    replaces: (storeVersions: Record<string, string>) => ledger.recordLive(leased, storeVersions),
  })
  const workOn = (effect: string) => work(effect, { ledger, leases, logger, worker: name, said, hands })
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
const inspection = inspectHeld({
  ledger,
  eyes: (spec, credential) => handsOf(spec, credential),
  worker: name,
  logger,
})
const fingerprinting = fingerprintAll({ ledger, stores, fingerprints: vaultFingerprints(vault), logger })
const drift = watchDrift({
  ledger,
  stores,
  fingerprints: vaultFingerprints(vault),
  everyMs: env.REKEY_DRIFT_MS,
  worker: name,
  logger,
})
const observation = observeDrains({ ledger, authorityOf, logger })
const byRegion = inventoriesOf(env.AWS_CREDENTIALS_FILE)
const inventory = scanInventory({
  ledger,
  backends: { vault, ...byRegion },
  places: env.REKEY_INVENTORY,
  logger,
})
const health = await serveHealth({
  port: env.HEALTH_PORT,
  checks: [
    { name: 'ledger', run: ledger.ping },
    { name: 'vault', run: () => vault.lookupSelf() },
  ],
})
logger.info({ healthPort: health.port }, 'rotator started')

onShutdown(logger, async () => {
  const loops = [inspection, fingerprinting, observation, inventory, drift]
  await Promise.all([worker, health, ...loops].map((part) => part.close()))
  connections.close()
  byRegion.close()
  vault.close()
  proberVault.close()
  await Promise.all(
    LANES.map((lane) => {
      lanes[lane].leases.close()
      return lanes[lane].ledger.close()
    }),
  )
})
