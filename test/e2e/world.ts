import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ControlClient, followRotation } from '@rekey/cli'
import { Secret } from '@rekey/contracts'
import { createDatabase, createTopics, ensureHaproxy, freePort } from '@rekey/local'
import {
  type Clients,
  type Gateway,
  type Platform,
  type Readers,
  readersOf,
  type Servers,
  startClients,
  startGateway,
  startModelEndpoint,
  startPlatform,
} from '@rekey/platform'
import type { StackAddresses } from '@rekey/testing'
import { firstValueProved } from './first-value.ts'
import { AWS_FIELD, plainReadersOf } from './plain-readers.ts'

export type WorldOptions = {
  stack: StackAddresses
  gateways?: number
  /** Extra environment of every service. */
  env?: Record<string, string>
  /** Extra environment of the rotator alone. */
  rotatorEnv?: Record<string, string>
  /** Extra environment of every agent. */
  agentEnv?: Record<string, string>
  /** In place of the stack's own, such as a proxy that loses replies. */
  servers?: Partial<Servers>
  /** The rollout's timings; the defaults are as short as a test bears. */
  rollout?: Record<string, unknown>
  /** A key that gateways and clients use before Rekey knows of it; the test writes it into the stores and adopts it. */
  live?: Secret
  /** Through which server each gateway reaches the model, by its place: a port. */
  modelPort?: (gateway: number, model: number) => Promise<number>
  /** What each agent says of its node. */
  labels?: (gateway: number) => Record<string, string>
  /** Where an agent tries values, by gateway; by default at its own gateway. */
  probeUrl?: (gateway: string) => string | undefined
}

/** A whole Rekey of its own on the shared servers: database, topics, queues, paths, ports. */
export type World = {
  credential: string
  path: string
  region: string
  emitter: string
  auditTopic: string
  servers: Servers
  dir: string
  platform: Platform
  gateways: Gateway[]
  control: ControlClient
  readers: Readers
  clients(): Clients
  /** The one-use tokens that its nodes joined with, used up. */
  joinTokens: string[]
  /** Follows a rotation to its end; fails with its whole state where that takes too long. */
  ended(rotation: string, withinMs?: number): Promise<string>
  /** What each gateway answers to a value. */
  knock(value: Secret): Promise<number[]>
  documents: unknown[]
  close(): Promise<void>
}

/** One database of Redis for each world of a run; 0 is left to the integration tests. */
let redisDatabase = 0

export async function startWorld(options: WorldOptions): Promise<World> {
  const { stack } = options
  const id = randomBytes(4).toString('hex')
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end()
  }
  try {
    return await build(options, stack, id, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function build(
  options: WorldOptions,
  stack: StackAddresses,
  id: string,
  closers: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<World> {
  const emitter = `e2e-${id}`
  const auditTopic = `rekey.audit.${id}.v1`
  const kafka = { kafka: { brokers: stack.kafkaBrokers } }
  const postgres = { postgres: { url: stack.postgresUrl } }
  const [postgresUrl] = await Promise.all([
    createDatabase(postgres, `e2e_${id}`),
    createTopics(kafka, [`rekey.changes.${emitter}.v1`], {
      partitions: 2,
      config: { 'max.message.bytes': '4194304' },
    }),
    createTopics(kafka, [auditTopic], { partitions: 1 }),
  ])
  redisDatabase = (redisDatabase % 15) + 1
  const servers: Servers = {
    kafkaBrokers: stack.kafkaBrokers,
    redisUrl: `${stack.redisUrl}/${redisDatabase}`,
    postgresUrl,
    vaultAddr: stack.vaultAddr,
    awsEndpoint: stack.awsEndpoint,
    awsRegion: stack.awsRegion,
    identitiesDir: stack.identitiesDir,
    ...options.servers,
  }
  const dir = await mkdtemp(join(tmpdir(), 'rekey-e2e-'))
  closers.push(() => rm(dir, { recursive: true, force: true }))
  const ports = { control: await freePort(), fleet: await freePort(), enrol: await freePort() }
  const env = {
    INTAKE_TOPICS: `rekey.changes.${emitter}.v1`,
    INTAKE_GROUP: `intake-${id}`,
    INTAKE_SESSION_MS: '6000',
    AUDIT_TOPIC: auditTopic,
    ...options.env,
  }
  const platform = await startPlatform({
    servers,
    dir,
    ports,
    env,
    ...(options.rotatorEnv && { only: { rotator: options.rotatorEnv } }),
  })
  closers.push(() => platform.stop())
  const token = Secret.of((await readFile(platform.control.tokenFile, 'utf8')).trim())
  const control = new ControlClient({ url: platform.control.url, token, actor: 'e2e' })

  const model = await startModelEndpoint()
  closers.push(() => model.close())
  const names = Array.from({ length: options.gateways ?? 2 }, (_, index) => `gw-${id}-${index + 1}`)
  const gatewayPorts = await Promise.all(names.map(() => freePort()))
  const credential = `key-${id}`
  const path = `e2e/${id}/api-key`
  const documents = documentsOf({
    id,
    credential,
    path,
    names,
    gatewayPorts,
    rollout: options.rollout ?? {},
    adopts: options.live !== undefined,
  })
  await control.configure(documents, true)
  const haproxy = await ensureHaproxy()
  const joinTokens: string[] = []
  const gateways = await Promise.all(
    names.map(async (name, index) => {
      const { token: joinToken } = await control.createNodeToken(name, `chat-${id}`, 60_000)
      joinTokens.push(joinToken)
      const probeUrl = options.probeUrl?.(name)
      const gateway = await startGateway({
        name,
        credential,
        port: gatewayPorts[index] ?? 0,
        modelPort: (await options.modelPort?.(index, model.port)) ?? model.port,
        dir,
        haproxy,
        fleet: platform.fleet,
        vaultAddr: servers.vaultAddr,
        joinToken,
        ...(probeUrl === undefined ? {} : { probeUrl }),
        ...(options.labels && { labels: options.labels(index) }),
        ...(options.live && { keysByHand: [options.live] }),
        ...(options.agentEnv && { env: options.agentEnv }),
      })
      closers.push(() => gateway.stop())
      return gateway
    }),
  )
  const region = 'eu-central-1'
  const sound = { ...servers, vaultAddr: stack.vaultAddr, awsEndpoint: stack.awsEndpoint }
  const readers = options.live ? plainReadersOf(sound, { path, region }) : readersOf(sound, { path, region })
  closers.push(async () => readers.close())

  const world: World = {
    credential,
    path,
    region,
    emitter,
    auditTopic,
    servers,
    dir,
    platform,
    gateways,
    control,
    readers,
    documents,
    joinTokens,
    clients() {
      const clients = startClients({
        urls: gateways.map((g) => g.url),
        readers: [readers.vault, readers.aws],
        cacheMs: 300,
        keepAlive: 6,
        streams: 2,
        streamTokens: 10,
        thinkMs: 50,
      })
      closers.push(() => clients.stop())
      return clients
    },
    async ended(rotation, withinMs = 60_000) {
      const { end, detail } = await followRotation(control, rotation, {
        signal: AbortSignal.timeout(withinMs),
      })
      if (end === 'timeout')
        throw new Error(
          `${rotation} did not end: ${detail} ${JSON.stringify(await control.rotation(rotation), null, 1)}`,
        )
      return end
    },
    knock(value) {
      const headers = { authorization: `Bearer ${value.reveal()}` }
      return Promise.all(
        gateways.map(({ url }) => fetch(`${url}/v1/models`, { headers }).then((r) => r.status)),
      )
    },
    close,
  }
  if (options.live) return world
  await world.ended(`${credential}-g1`)
  await firstValueProved(control, credential, names.length)
  return world
}

function documentsOf(about: {
  id: string
  credential: string
  path: string
  names: string[]
  gatewayPorts: number[]
  rollout: Record<string, unknown>
  adopts: boolean
}): unknown[] {
  const { id, credential, path, names, gatewayPorts, rollout, adopts } = about
  const apiVersion = 'rekey.dev/v1'
  const endpoints = names.map((name, index) => ({
    name,
    url: `http://127.0.0.1:${gatewayPorts[index]}/v1/models`,
  }))
  return [
    {
      apiVersion,
      kind: 'Workload',
      metadata: { name: `chat-${id}` },
      spec: {
        spiffeId: `spiffe://example.org/chat-${id}`,
        environment: 'prod',
        owner: 'team-e2e',
        zone: 'a',
      },
    },
    {
      apiVersion,
      kind: 'Credential',
      metadata: { name: credential },
      spec: {
        workload: `chat-${id}`,
        purpose: 'api-key',
        direction: 'inbound',
        authority: { kind: 'nodes', endpoints },
        stores: [
          { name: 'vault', kind: 'vault-kv', mount: 'secret', path },
          {
            name: 'aws',
            kind: 'aws-secrets-manager',
            region: 'eu-central-1',
            secretId: path,
            ...(adopts && { field: AWS_FIELD }),
          },
        ],
        ...(adopts && { firstValue: 'adopt' }),
        rollout: {
          waves: [1, '100%'],
          settleMs: 100,
          quietMs: 1_000,
          readerCacheMs: 1_000,
          waveDeadlineMs: 30_000,
          drainCapMs: 60_000,
          evidenceMs: 10_000,
          ...rollout,
        },
      },
    },
    {
      apiVersion,
      kind: 'Rule',
      metadata: { name: `zone-${id}` },
      spec: { when: { change: ['zonechanged'], workload: `chat-${id}` }, rotate: [credential] },
    },
  ]
}
