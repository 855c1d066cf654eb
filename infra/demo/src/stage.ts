import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ControlClient } from '@rekey/cli'
import { Secret } from '@rekey/contracts'
import { ensureHaproxy, freePort, provision, requirePort, type Stack, startStack } from '@rekey/local'
import {
  type Clients,
  type Gateway,
  type ModelEndpoint,
  type Platform,
  type Readers,
  readersOf,
  type Servers,
  startClients,
  startGateway,
  startModelEndpoint,
  startPlatform,
} from '@rekey/platform'
import { parseAllDocuments } from 'yaml'

export const CREDENTIAL = 'chat-gateway-key'
export const WORKLOAD = 'chat-gateway'
/** Who answers for it, as the example says. */
export const OWNER = 'team-inference'
export const CLIENTS = 16
export const STREAMS = 6
const EXAMPLES = fileURLToPath(new URL('../../../examples/chat-gateway/', import.meta.url))
/** The gateways' ports, as the example's endpoints name them. */
const GATEWAY_PORTS = [18081, 18082, 18083]

/** Everything that the demo plays on: the real servers, Rekey's services, a model endpoint and its three gateways. */
export type Stage = {
  stack: Stack
  servers: Servers
  platform: Platform
  control: ControlClient
  gateways: Gateway[]
  close(): Promise<void>
}

export async function setStage(say: (line: string) => void): Promise<Stage> {
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end().catch(() => undefined)
  }
  try {
    return await build(say, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function build(
  say: (line: string) => void,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<Stage> {
  await Promise.all(GATEWAY_PORTS.map(requirePort))
  say('Starting Kafka, Redis, PostgreSQL, Vault and the AWS endpoint')
  const [stack, haproxy] = await Promise.all([
    startStack({ ports: 'free', onProgress: (line) => say(`  ${line}`) }),
    ensureHaproxy((line) => say(`  ${line}`)),
  ])
  closers.push(() => stack.stop())
  const identities = await provision(stack)
  const servers: Servers = {
    kafkaBrokers: stack.kafka.brokers,
    redisUrl: stack.redis.url,
    postgresUrl: stack.postgres.url,
    vaultAddr: stack.vault.addr,
    awsEndpoint: stack.aws.endpoint,
    awsRegion: stack.aws.region,
    identitiesDir: identities.dir,
  }

  say('Starting the Rekey services')
  say('  waiting until six services are ready')
  const dir = join(stack.dir, 'rekey')
  const ports = { control: await freePort(), fleet: await freePort(), enrol: await freePort() }
  const platform = await startPlatform({ servers, dir, ports })
  closers.push(() => platform.stop())
  const control = new ControlClient({
    url: platform.control.url,
    token: Secret.of(readFileSync(platform.control.tokenFile, 'utf8').trim()),
    actor: 'demo',
  })

  say('Applying examples/chat-gateway')
  const { changes } = await control.configure(exampleDocuments(), true)
  for (const { kind, name } of changes) say(`  ${kind} ${name}`)

  say('Starting a model endpoint behind three HAProxy gateways, each with its agent')
  const model: ModelEndpoint = await startModelEndpoint()
  closers.push(() => model.close())
  say('  waiting until every gateway has joined')
  const gateways = await Promise.all(
    GATEWAY_PORTS.map(async (port, index) => {
      const name = `gateway-${index + 1}`
      const { token } = await control.createNodeToken(name, WORKLOAD, 60_000)
      const gateway = await startGateway({
        name,
        credential: CREDENTIAL,
        port,
        modelPort: model.port,
        dir,
        haproxy,
        fleet: platform.fleet,
        vaultAddr: stack.vault.addr,
        joinToken: token,
      })
      closers.push(() => gateway.stop())
      return gateway
    }),
  )
  return { stack, servers, platform, control, gateways, close }
}

/** Our own knock, beside Rekey's prober: what each gateway answers to a value. */
export function knock({ gateways }: Stage, value: Secret): Promise<number[]> {
  const headers = { authorization: `Bearer ${value.reveal()}` }
  return Promise.all(gateways.map(({ url }) => fetch(`${url}/v1/models`, { headers }).then((r) => r.status)))
}

/** Keep-alive clients and streams beside them, which read their key from both stores as any reader would. */
export function startLoad(stage: Stage, readers: Readers, streamTokens: number): Clients {
  return startClients({
    urls: stage.gateways.map((g) => g.url),
    readers: [readers.vault, readers.aws],
    cacheMs: 1_000,
    keepAlive: CLIENTS,
    streams: STREAMS,
    streamTokens,
    thinkMs: 25,
  })
}

/** Readers of the example's stores. */
export function openReaders({ servers }: Stage): Readers {
  return readersOf(servers, { path: 'prod/chat-gateway/api-key', region: 'eu-central-1' })
}

function exampleDocuments(): unknown[] {
  return readdirSync(EXAMPLES)
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) => parseAllDocuments(readFileSync(join(EXAMPLES, name), 'utf8')))
    .map((document) => document.toJS())
}
