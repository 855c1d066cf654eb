import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ControlClient, followRotation } from '@rekey/cli'
import { Secret } from '@rekey/contracts'
import { createDatabase, createTopics, freePort } from '@rekey/local'
import {
  type Platform,
  type Servers,
  type SupervisedProcess,
  startAgent,
  startPlatform,
} from '@rekey/platform'
import type { StackAddresses } from '@rekey/testing'
import { firstValueProved } from './first-value.ts'

export type OwnRekeyOptions = {
  /** Says in names of databases, topics and folders whose they are. */
  name: string
  /** Of Redis; each world of a run has its own. */
  redisDatabase: number
  /** Files of REKEY_CONNECTIONS_DIR at the rotator, by name. */
  connections?: Record<string, string>
  /** Extra environment of the rotator. */
  rotator?: Record<string, string>
  /** Extra environment of every service. */
  env?: Record<string, string>
}

/** A whole Rekey of its own on the shared servers: database, topics, folder, ports. It has no credential yet. */
export type OwnRekey = {
  id: string
  dir: string
  servers: Servers
  /** REKEY_CONNECTIONS_DIR of the rotator. */
  connections: string
  platform: Platform
  control: ControlClient
  /** A node with an agent. */
  join(
    node: string,
    workload: string,
    adapters: Record<string, unknown>[],
    env?: Record<string, string>,
  ): Promise<SupervisedProcess>
  /** Follows a rotation to its end; fails with its whole state where that takes too long. */
  ended(rotation: string, withinMs?: number): Promise<string>
  /** Resolves when the journal of a rotation has such an entry. */
  reaches(rotation: string, type: string): Promise<void>
  close(): Promise<void>
}

export async function startOwnRekey(stack: StackAddresses, options: OwnRekeyOptions): Promise<OwnRekey> {
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end()
  }
  try {
    return { ...(await build(stack, options, closers)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function build(
  stack: StackAddresses,
  { name, redisDatabase, connections: files = {}, rotator = {}, env = {} }: OwnRekeyOptions,
  closers: (() => Promise<unknown>)[],
): Promise<Omit<OwnRekey, 'close'>> {
  const id = randomBytes(4).toString('hex')
  const changes = `rekey.changes.${name}-${id}.v1`
  const auditTopic = `rekey.audit.${id}.v1`
  const [postgresUrl] = await Promise.all([
    createDatabase({ postgres: { url: stack.postgresUrl } }, `${name}_${id}`),
    createTopics({ kafka: { brokers: stack.kafkaBrokers } }, [changes, auditTopic], { partitions: 1 }),
  ])
  const dir = await mkdtemp(join(tmpdir(), `rekey-${name}-`))
  closers.push(() => rm(dir, { recursive: true, force: true }))
  const connections = join(dir, 'connections')
  await mkdir(connections, { mode: 0o700 })
  for (const [file, text] of Object.entries(files))
    await writeFile(join(connections, file), text, { mode: 0o600 })

  const { kafkaBrokers, vaultAddr, awsEndpoint, awsRegion, identitiesDir } = stack
  const redisUrl = `${stack.redisUrl}/${redisDatabase}`
  const servers = { kafkaBrokers, redisUrl, postgresUrl, vaultAddr, awsEndpoint, awsRegion, identitiesDir }
  const platform = await startPlatform({
    servers,
    dir,
    ports: { control: await freePort(), fleet: await freePort(), enrol: await freePort() },
    env: { INTAKE_TOPICS: changes, INTAKE_GROUP: `intake-${id}`, AUDIT_TOPIC: auditTopic, ...env },
    only: { rotator: { REKEY_CONNECTIONS_DIR: connections, ...rotator } },
    leaveOut: ['intake'],
  })
  closers.push(() => platform.stop())
  const token = Secret.of((await readFile(platform.control.tokenFile, 'utf8')).trim())
  const control = new ControlClient({ url: platform.control.url, token, actor: 'e2e' })

  return {
    id,
    dir,
    servers,
    connections,
    platform,
    control,
    async join(node, workload, adapters, env = {}) {
      const { token: joinToken } = await control.createNodeToken(node, workload, 60_000)
      const agent = await startAgent({
        name: node,
        dir: join(dir, node),
        fleet: platform.fleet,
        vaultAddr,
        joinToken,
        adapters,
        env,
      })
      closers.push(() => agent.stop())
      return agent
    },
    async ended(rotation, withinMs = 180_000) {
      const { end, detail } = await followRotation(control, rotation, {
        signal: AbortSignal.timeout(withinMs),
      })
      if (end !== 'timeout') return end
      throw new Error(
        `${rotation} did not end: ${detail} ${JSON.stringify(await control.rotation(rotation), null, 1)}`,
      )
    },
    async reaches(rotation, type) {
      for await (const watched of control.watch(rotation))
        if (watched.type === 'entry' && watched.entry.type === type) return
      throw new Error(`${rotation} ended before ${type}`)
    },
  }
}

const API = 'rekey.dev/v1'

export const workloadOf = (name: string) => ({
  apiVersion: API,
  kind: 'Workload',
  metadata: { name },
  spec: { spiffeId: `spiffe://example.org/${name}`, environment: 'prod', owner: 'team-e2e' },
})

export const outboundOf = (name: string, { rollout = {}, ...spec }: OutboundSpec) => ({
  apiVersion: API,
  kind: 'Credential',
  metadata: { name },
  spec: { ...spec, direction: 'outbound', rollout: { ...QUICK, ...rollout } },
})

export type OutboundSpec = {
  workload: string
  purpose: string
  authority: object
  stores: object[]
  maxAge?: string
  rollout?: Record<string, unknown>
}

/** As short as a test bears. */
const QUICK = {
  settleMs: 100,
  quietMs: 500,
  readerCacheMs: 1_000,
  waveDeadlineMs: 30_000,
  drainCapMs: 60_000,
  evidenceMs: 10_000,
  expediteDrainMs: 1_000,
}

/** One credential in Vault, and one node that has its value in a file. */
export async function startOneNode(
  { id, dir, control, join: enrol, ended }: OwnRekey,
  { purpose, ...spec }: Omit<OutboundSpec, 'workload' | 'stores'>,
  adapter: Record<string, unknown>,
): Promise<{ credential: string; file: string }> {
  const [workload, credential, node] = [`app-${id}`, `${purpose}-${id}`, `node-${id}`]
  const file = join(dir, 'value')
  const stores = [{ name: 'vault', kind: 'vault-kv', mount: 'secret', path: `e2e/${id}/${purpose}` }]
  await control.configure(
    [workloadOf(workload), outboundOf(credential, { ...spec, purpose, workload, stores })],
    true,
  )
  await enrol(node, workload, [{ credential, kind: 'file', path: file, ...adapter }])
  const end = await ended(`${credential}-g1`)
  if (end !== 'closed') throw new Error(`the first value ended as ${end}`)
  await firstValueProved(control, credential, 1)
  return { credential, file }
}
