import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Secret } from '@rekey/contracts'
import { type Clients, SERVICE_NAMES, type SupervisedProcess, storesAs } from '@rekey/platform'
import type { StackAddresses } from '@rekey/testing'
import { Kafka, logLevel, type Producer } from 'kafkajs'
import pg from 'pg'
import { startWorld, type World } from '../e2e/world.ts'

const PRELOAD = new URL('inside/preload.ts', import.meta.url)

/** A world whose processes name what they do and die where they are told, with clients that never stop asking. */
export type Bench = {
  world: World
  /** Where the processes find their plan, and say what they did. */
  folder: string
  processes: Record<string, SupervisedProcess>
  clients: Clients
  database: pg.Client
  producer: Producer
  kafka: Kafka
  /** The stores with the rights to see all that they hold. */
  stores: ReturnType<typeof storesAs>
  /** Values that died here, oldest first. */
  dead: Secret[]
  close(): Promise<void>
}

export async function startBench(stack: StackAddresses): Promise<Bench> {
  const closers: (() => unknown)[] = []
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end()
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), 'rekey-crash-'))
    closers.push(() => rm(folder, { recursive: true, force: true }))
    const env = { NODE_OPTIONS: `--import ${PRELOAD}`, REKEY_CRASH_FOLDER: folder }
    // A look between journeys would make more calls in one run than in another.
    const rotatorEnv = { REKEY_DRIFT_MS: '0' }
    const world = await startWorld({ stack, env, rotatorEnv, agentEnv: env })
    closers.push(() => world.close())
    const database = new pg.Client({ connectionString: world.servers.postgresUrl })
    await database.connect()
    closers.push(() => database.end())
    process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
    const kafka = new Kafka({ clientId: 'crash', brokers: stack.kafkaBrokers, logLevel: logLevel.NOTHING })
    const producer = kafka.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    closers.push(() => producer.disconnect())
    const stores = storesAs('rotator', world.servers, world)
    closers.push(() => stores.close())
    const processes = Object.fromEntries([
      ...SERVICE_NAMES.map((name) => [name, world.platform.services[name]]),
      ...world.gateways.map(({ agent }, index) => [`agent-${index + 1}`, agent]),
    ])
    const clients = world.clients()
    return { world, folder, processes, clients, database, producer, kafka, stores, dead: [], close }
  } catch (error) {
    await close()
    throw error
  }
}
