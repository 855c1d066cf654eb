import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withToken } from '@rekey/backend-vault'
import { Document, proofPublicKey, Secret } from '@rekey/contracts'
import { openLedger } from '@rekey/ledger'
import { freePort } from '@rekey/local'
import { connectQueues } from '@rekey/queues'
import { afterAll, beforeAll, expect, inject, onTestFailed, test } from 'vitest'
import { stringify } from 'yaml'
import { askStatus, isReady } from '../src/status-socket.ts'
import { startClients } from './clients.ts'
import { type Haproxy, startHaproxy } from './haproxy.ts'
import { AGENT, FLEET, type ServiceProcess, startProcess } from './process.ts'
import { until } from './until.ts'

/** The agent and the fleet service as processes, with the real ledger, Vault, Redis and HAProxy. */

const stack = inject('stack')
const ledger = openLedger({ url: stack.postgresUrl, name: 'pair-test' })
const vault = withToken({ addr: stack.vaultAddr, token: Secret.of(stack.vaultRootToken) })
const queues = connectQueues(stack.redisUrl)
const values = new Map<number, Secret>()
const CREDENTIAL = 'pair-key'
const NODE = 'pair-node-1'
const INSTANCE = 'pair-fleet'

let gateway: Haproxy
let fleet: ServiceProcess
let agent: ServiceProcess
let fleetEnv: Record<string, string>
let configFile: string

const documents = [
  {
    apiVersion: 'rekey.dev/v1',
    kind: 'Workload',
    metadata: { name: 'pair-chat' },
    spec: { spiffeId: 'spiffe://example.org/pair-chat', environment: 'test', owner: 'tests' },
  },
  {
    apiVersion: 'rekey.dev/v1',
    kind: 'Credential',
    metadata: { name: CREDENTIAL },
    spec: {
      workload: 'pair-chat',
      purpose: 'api-key',
      direction: 'inbound',
      authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
      stores: [{ name: 'vault', kind: 'vault-kv', mount: 'secret', path: 'pair/chat' }],
      rollout: { settleMs: 0 },
    },
  },
].map((document) => Document.parse(document))

/** Plays conductor and rotator: everything that is due and concerns a store is done, deliveries go to the fleet. */
async function work(): Promise<void> {
  await ledger.fireTimers('pair-test')
  for (const waiting of await ledger.takeWaiting(60_000)) {
    const leased = await ledger.lease(waiting.key, 'pair-test', 10_000)
    if (!leased) continue
    const { effect } = leased
    if (effect.kind === 'deliver') {
      await queues.add(`fleet-${INSTANCE}`, `${effect.key}-${leased.attempt}`, {
        effect: effect.key,
        nodes: effect.nodes,
      })
      await ledger.complete(leased, { kind: 'deliver' }, 'pair-test')
    }
    if (effect.kind === 'stage') {
      const value =
        values.get(effect.generation) ?? Secret.of(`pair-value-${effect.generation}-${'x'.repeat(32)}`)
      values.set(effect.generation, value)
      const keyId = `${CREDENTIAL}.g${effect.generation}`
      await vault.kvWrite('secret', `rekey-staging/pair/chat/${effect.generation}`, {
        value: value.reveal(),
        generation: effect.generation,
        key_id: keyId,
        call_key: effect.key,
      })
      const proofKey = proofPublicKey(value, CREDENTIAL, effect.generation)
      await ledger.complete(leased, { kind: 'stage', storeVersion: '1', keyId, proofKey }, 'pair-test')
    } else if (effect.kind === 'promote') {
      await ledger.complete(leased, { kind: 'promote', storeVersion: '1' }, 'pair-test')
    }
  }
}

const statusOf = (key: string) =>
  fetch(gateway.probeUrl, { headers: { authorization: `Bearer ${key}` } }).then((response) => response.status)

const isReadyNow = async () => {
  const status = await askStatus(join(gateway.dir, 'state'))
  return status !== undefined && isReady(status)
}

const startFleet = () => startProcess(FLEET, [], fleetEnv)
const startAgent = () => startProcess(AGENT, ['run', '--config', configFile])

beforeAll(async () => {
  gateway = await startHaproxy()
  const [port, enrolPort] = [await freePort(), await freePort()]
  fleetEnv = {
    DATABASE_URL: stack.postgresUrl,
    REDIS_URL: stack.redisUrl,
    VAULT_ADDR: stack.vaultAddr,
    VAULT_ROLE_ID_FILE: join(stack.identitiesDir, 'fleet', 'vault-role-id'),
    VAULT_SECRET_ID_FILE: join(stack.identitiesDir, 'fleet', 'vault-secret-id'),
    FLEET_PORT: String(port),
    FLEET_ENROL_PORT: String(enrolPort),
    FLEET_INSTANCE: INSTANCE,
    FLEET_CA_FILE: join(gateway.dir, 'fleet-ca.pem'),
    HEARTBEAT_MS: '500',
  }
  await ledger.configure(documents, { apply: true, actor: 'pair-test' })
  fleet = startFleet()
  await until('the fleet is up', () =>
    fleet.lines.some((l) => l.includes('the fleet channel is open')),
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${fleet.lines.join('\n')}`)
  })
  const { token } = await ledger.createJoinToken({
    node: NODE,
    workload: 'pair-chat',
    ttlMs: 60_000,
    actor: 'pair-test',
  })
  await writeFile(join(gateway.dir, 'join-token'), token, { mode: 0o600 })
  configFile = join(gateway.dir, 'agent.yaml')
  await writeFile(
    configFile,
    stringify({
      node: NODE,
      fleet: {
        url: `wss://localhost:${port}`,
        enrolUrl: `https://localhost:${enrolPort}`,
        caFile: 'fleet-ca.pem',
      },
      joinTokenFile: 'join-token',
      stateDir: 'state',
      vault: { addr: stack.vaultAddr },
      pollMs: 200,
      usageMs: 200,
      adapters: [
        {
          credential: CREDENTIAL,
          kind: 'haproxy',
          socket: 'haproxy.sock',
          map: gateway.map,
          probeUrl: gateway.probeUrl,
        },
      ],
    }),
  )
  agent = startAgent()
})

afterAll(async () => {
  await agent?.kill()
  await fleet?.kill()
  await gateway?.stop()
  await queues.close()
  vault.close()
  await ledger.close()
})

/** What the processes said, where a test needs it to be understood. */
function showLogsOnFailure(): void {
  onTestFailed(() => {
    process.stderr.write(`${[...fleet.lines.slice(-30), ...agent.lines.slice(-30)].join('\n')}\n`)
  })
}

async function rotationStep(): Promise<string> {
  await work()
  const [rotation] = await ledger.listRotations({ credential: CREDENTIAL })
  return JSON.stringify(rotation)
}

test('a node enrols, is told what to hold, proves it, and the wave moves on', async () => {
  showLogsOnFailure()
  await until('the first generation is accepted', async () => {
    await work()
    return values.get(1) && (await statusOf(values.get(1)?.reveal() ?? '')) === 200
  })
  await until('the agent is ready', isReadyNow)
  await until('the first rotation closed', async () => /Closed/.test(await rotationStep()))
  expect(await statusOf('something else')).toBe(401)
})

test('a second generation comes in under load without a failed request, and both are accepted', async () => {
  showLogsOnFailure()
  const first = values.get(1)?.reveal() ?? ''
  const clients = startClients({ url: gateway.probeUrl, count: 16, key: () => first })
  await ledger.start(CREDENTIAL, {
    cause: { kind: 'order', actor: 'pair-test', reason: 'test' },
    mode: 'rotate',
    goal: 'replace',
    compromised: [],
  })
  await until('the second generation is accepted', async () => {
    await work()
    const second = values.get(2)
    return second && (await statusOf(second.reveal())) === 200
  })
  expect(await statusOf(first)).toBe(200)
  const tally = await clients.stop()
  expect(tally.requests).toBeGreaterThan(100)
  expect(tally.failed).toBe(0)
})

test('the agent is killed and comes back to the same state, and its log holds no value', async () => {
  showLogsOnFailure()
  await agent.kill('SIGKILL')
  expect(await statusOf(values.get(1)?.reveal() ?? '')).toBe(200)
  agent = startAgent()
  await until('the agent is ready again', isReadyNow)
  const text =
    [...agent.lines, ...fleet.lines].join('\n') +
    (await readFile(join(gateway.dir, 'state', `journal-${CREDENTIAL}.json`), 'utf8'))
  for (const value of values.values()) expect(text).not.toContain(value.reveal())
})

test('the fleet is killed, the node goes on serving and reconnects to the next one', async () => {
  showLogsOnFailure()
  await fleet.kill('SIGKILL')
  expect(await statusOf(values.get(1)?.reveal() ?? '')).toBe(200)
  await until(
    'the agent notices',
    async () => (await askStatus(join(gateway.dir, 'state')))?.session === null,
  )
  fleet = startFleet()
  await until('the agent is ready again', isReadyNow, 30_000)
})
