import { mkdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectVault, type VaultClient } from '@rekey/backend-vault'
import { ControlClient } from '@rekey/cli'
import { Secret } from '@rekey/contracts'
import type { JournalEntry } from '@rekey/ledger'
import { createTopics, freePort } from '@rekey/local'
import { type SupervisedProcess, startPlatform } from '@rekey/platform'
import type { Place } from '../../fleet/doors.ts'
import type { Heard } from '../../fleet/played-node.ts'
import { type Closers, closable } from '../closers.ts'
import { Cpu, residentBytes } from '../cpu.ts'
import type { Servers } from '../servers.ts'
import { Child } from '../world/child.ts'
import { type BareFleet, bareFleet } from './bare-fleet.ts'
import { callsOf } from './calls.ts'
import { untilClosed } from './closed.ts'
import type { FarmCalls } from './farm.ts'
import type { LeakVault } from './vault.ts'

/** Rekey's own services, played nodes, and the floor beside them. */
export type Stage = {
  control: ControlClient
  credential: string
  /** Where readers find the value in Vault. */
  path: string
  /** The nodes' doors, and those of the floor's nodes. */
  places: { rekey: Place[]; bare: Place[] }
  bare: BareFleet
  /** The fleet service; it is started again when it is killed. */
  fleet: SupervisedProcess
  /** One more process, which ends with the stage. */
  child(name: string, main: URL, env: Record<string, string>): Child
  /** Processor time of all processes, and of those that are named. */
  cpu(...more: Child[]): Cpu
  /** Of the fleet's process, before any node was there; undefined: it cannot be seen. */
  emptyFleetBytes: number | undefined
  /** What nodes asked of Vault since it was last asked for. */
  vaultCalls(): Promise<number>
  /** When each node was connected again since it was last asked for. */
  connectedAt(): Promise<number[]>
  heard(): Promise<Heard>
  /** Resolves with the journal of a rotation that has closed. */
  closed(rotation: string): Promise<JournalEntry[]>
  close(): Promise<void>
}

const MINUTE_MS = 60_000
/** One process cannot do the work of a thousand hosts at once; more than two have no processor of their own here. */
const NODES_EACH = 500
const JOINED_AT_ONCE = 25

let stages = 0

export async function setStage(
  servers: Servers,
  vault: LeakVault,
  nodes: number,
  say: (line: string) => void,
): Promise<Stage> {
  return closable((closers) => build(servers, vault, nodes, say, closers))
}

async function build(
  servers: Servers,
  vault: LeakVault,
  nodes: number,
  say: (line: string) => void,
  closers: Closers,
): Promise<Omit<Stage, 'close'>> {
  const id = `${nodes}-${++stages}`
  const credential = `leaked-${id}`
  const workload = `leaky-${id}`
  const path = `bench/${credential}`
  const isAudited = vault.kafkaBrokers.length > 0
  // Each stage has a ledger of its own, so a chain of its own.
  const auditTopic = `rekey.audit.${id}`
  if (isAudited) await createTopics({ kafka: { brokers: vault.kafkaBrokers } }, [auditTopic])
  const dir = await mkdtemp(join(tmpdir(), 'rekey-bench-'))
  closers.push(() => rm(dir, { recursive: true, force: true }))
  const platform = await startPlatform({
    servers: {
      kafkaBrokers: vault.kafkaBrokers,
      // A database of its own in Redis, so that no stage meets what another one left.
      redisUrl: `${servers.redisUrl}/${stages % 16}`,
      postgresUrl: await servers.createDatabase(),
      vaultAddr: vault.addr,
      awsEndpoint: '',
      awsRegion: '',
      identitiesDir: vault.identitiesDir,
    },
    dir,
    ports: { control: await freePort(), fleet: await freePort(), enrol: await freePort() },
    // An emergency waits for neither: they would only share the processors. Anything else waits until its records are on the topic.
    leaveOut: isAudited ? ['intake'] : ['auditor', 'intake'],
    only: { auditor: { AUDIT_TOPIC: auditTopic } },
  })
  closers.push(() => platform.stop())
  const token = Secret.of(readFileSync(platform.control.tokenFile, 'utf8').trim())
  const control = new ControlClient({ url: platform.control.url, token, actor: 'bench' })
  await control.configure([workloadDocument(workload)], true)

  const names = Array.from({ length: nodes }, (_, n) => `${id}-${String(n + 1).padStart(4, '0')}`)
  const child = (name: string, main: URL, env: Record<string, string>) => {
    const started = new Child({
      name,
      main,
      env: { VAULT_ADDR: vault.addr, LOG_LEVEL: 'warn', ...env },
      logFile: join(dir, `${name}.log`),
    })
    closers.push(() => started.stop())
    return started
  }
  const farms = Array.from({ length: Math.ceil(nodes / NODES_EACH) }, (_, n) => {
    const farmDir = join(dir, `farm-${n}`)
    mkdirSync(farmDir, { mode: 0o700 })
    const process = child(`nodes ${n + 1}`, new URL('farm.ts', import.meta.url), {
      FLEET_URL: platform.fleet.url,
      FLEET_ENROL_URL: platform.fleet.enrolUrl,
      FLEET_CA_FILE: platform.fleet.caFile,
      FARM_DIR: farmDir,
      CREDENTIAL: credential,
    })
    return {
      process,
      call: callsOf<FarmCalls>(process),
      names: names.slice(n * NODES_EACH, (n + 1) * NODES_EACH),
    }
  })
  const { pid } = platform.services.fleet
  const emptyFleetBytes = pid === undefined ? undefined : residentBytes(pid)
  let joined = 0
  const waiting = [...farms]
  const joinSome = async () => {
    for (let farm = waiting.shift(); farm; farm = waiting.shift())
      for (let at = 0; at < farm.names.length; at += JOINED_AT_ONCE) {
        const some = farm.names.slice(at, at + JOINED_AT_ONCE)
        const joining = await Promise.all(
          some.map(async (node) => ({
            node,
            token: (await control.createNodeToken(node, workload, 10 * MINUTE_MS)).token,
          })),
        )
        await farm.call('join', joining)
        joined += some.length
        if (joined % 500 === 0) say(`${joined} of ${nodes} nodes have enrolled and joined`)
      }
  }
  await Promise.all([joinSome(), joinSome()])
  const places: Place[] = []
  for (const farm of farms) {
    const port = await farm.call('port', undefined)
    places.push(...farm.names.map((name) => ({ port, name })))
  }

  await control.configure([credentialDocument({ credential, workload, path, places })], true)
  const closed = (rotation: string) => untilClosed(control, rotation)
  await closed(`${credential}-g1`)
  say(`${nodes} nodes hold the first value`)

  const bare = await floor(servers, vault, { nodes, path: `rekey-staging/${path}` }, closers)
  for (const farm of farms) await farm.call('connectBare', bare.port)
  const { conductor, rotator, fleet, control: api, auditor } = platform.services
  const ofServers = await servers.processes()
  return {
    control,
    credential,
    path,
    places: { rekey: places, bare: places.map(({ port, name }) => ({ port, name: `bare-${name}` })) },
    bare,
    closed,
    async heard() {
      const all: Heard = {}
      for (const farm of farms)
        for (const [revision, { toldAt, answeredAt, nodes: count }] of Object.entries(
          await farm.call('heard', undefined),
        )) {
          const of = all[Number(revision)]
          all[Number(revision)] = {
            toldAt: Math.max(toldAt, of?.toldAt ?? 0),
            answeredAt: Math.max(answeredAt, of?.answeredAt ?? 0),
            nodes: count + (of?.nodes ?? 0),
          }
        }
      return all
    },
    fleet,
    child,
    emptyFleetBytes,
    async vaultCalls() {
      const calls = await Promise.all(farms.map((farm) => farm.call('vaultCalls', undefined)))
      return calls.reduce((sum, some) => sum + some, 0)
    },
    async connectedAt() {
      return (await Promise.all(farms.map((farm) => farm.call('connectedAt', undefined)))).flat()
    },
    cpu: (...more) =>
      new Cpu([
        ...[conductor, rotator, fleet, api, ...(isAudited ? [auditor] : [])].map(({ spec, pid }) => ({
          name: spec.name,
          pid,
        })),
        ...ofServers,
        { name: 'Vault', pid: vault.pid },
        ...farms.map(({ process }) => ({ name: process.name, pid: process.pid })),
        ...more.map(({ name, pid }) => ({ name, pid })),
        { name: 'clients and driver', pid: process.pid },
      ]),
  }
}

/** Its writer is the rotator's identity, its certificate the fleet's: what Rekey itself works with. */
async function floor(
  servers: Servers,
  vault: LeakVault,
  { nodes, path }: { nodes: number; path: string },
  closers: Closers,
): Promise<BareFleet> {
  const as = (who: 'fleet' | 'rotator'): VaultClient => {
    const { roleIdFile, secretIdFile } = vault.identity(who)
    const client = connectVault({
      addr: vault.addr,
      roleId: readFileSync(roleIdFile, 'utf8').trim(),
      secretIdFile,
    })
    closers.push(async () => client.close())
    return client
  }
  const issuer = as('fleet')
  const issued = await issuer.pkiIssue('rekey-server', { commonName: 'localhost', ipSans: ['127.0.0.1'] })
  const bare = await bareFleet({
    postgresUrl: await servers.createDatabase(),
    nodes,
    vault: as('rotator'),
    path,
    tls: {
      key: issued.privateKey.reveal(),
      cert: [issued.certificate, ...issued.caChain].map((pem) => `${pem.trim()}\n`).join(''),
      ca: await issuer.caChain(),
    },
  })
  closers.push(() => bare.close())
  return bare
}

const apiVersion = 'rekey.dev/v1'

const workloadDocument = (name: string) => ({
  apiVersion,
  kind: 'Workload',
  metadata: { name },
  spec: { spiffeId: `spiffe://example.org/${name}`, environment: 'prod', owner: 'team-bench', zone: 'a' },
})

/** The drain's bound at its least, for readers that keep no value: what is left is Rekey's own time. */
function credentialDocument(about: {
  credential: string
  workload: string
  path: string
  places: Place[]
}): unknown {
  const { credential, workload, path, places } = about
  const some = [0, Math.floor(places.length / 2), places.length - 1].flatMap((at) => places[at] ?? [])
  return {
    apiVersion,
    kind: 'Credential',
    metadata: { name: credential },
    spec: {
      workload,
      purpose: 'api-key',
      direction: 'inbound',
      authority: {
        kind: 'nodes',
        endpoints: some.map(({ port, name }) => ({
          name,
          url: `http://127.0.0.1:${port}/${name}/v1/models`,
        })),
      },
      stores: [{ name: 'vault', kind: 'vault-kv', path }],
      rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0, expediteDrainMs: 0 },
    },
  }
}
