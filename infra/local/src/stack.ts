import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Addresses, environmentOf } from './addresses.ts'
import { AWS_REGION, awsServer, credentialsFile, prepareAws } from './aws.ts'
import type { Progress } from './cache.ts'
import { Complaint } from './complaint.ts'
import { dockerServers } from './docker.ts'
import { clearFolder, makeFolder } from './folder.ts'
import { refuseOtherMachines } from './given.ts'
import { kafkaServer, prepareKafka } from './kafka.ts'
import { endOrphans } from './orphan.ts'
import { fixedPort, freePort, type Ports } from './port.ts'
import { postgresServer, preparePostgres } from './postgres.ts'
import { forget, watch } from './reaper.ts'
import { prepareRedis, redisServer } from './redis.ts'
import { givenServer, logFile, type Server, type ServerName } from './server.ts'
import { prepareVault, vaultServer } from './vault.ts'

export const SERVER_NAMES = ['kafka', 'redis', 'postgres', 'vault', 'aws'] as const satisfies ServerName[]

/** The servers that Rekey needs, running. What was left out by `only` has empty strings. */
export type Stack = Addresses & {
  /** Logs, data and identities. */
  dir: string
  /** What a Rekey service needs to reach them; holds no secret. */
  env: Record<string, string>
  servers: Record<ServerName, Server>
  stop(): Promise<void>
}

export type StackOptions = {
  /** Emptied first. Without it: a temporary folder that goes with the stack. */
  dir?: string
  only?: readonly ServerName[]
  ports?: 'fixed' | 'free'
  /** Started here even where the environment names one: for whoever wants to kill it. */
  own?: boolean
  onProgress?: Progress
}

/** Each server, in this order: named by the environment, run by Docker where its daemon runs, or set up on this machine. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const wanted = new Set<ServerName>(options.only ?? SERVER_NAMES)
  if (!options.own) refuseOtherMachines(wanted, process.env)
  const progress = options.onProgress ?? (() => {})
  const ports: Ports = options.ports === 'fixed' ? fixedPort : freePort
  const dir = options.dir ? resolve(options.dir) : await mkdtemp(join(tmpdir(), 'rekey-stack-'))
  const temporary = options.dir ? undefined : (`directory ${dir}` as const)
  if (temporary) watch(temporary)
  const ended = await endOrphans(dir)
  if (ended.length > 0) progress(`ended what an earlier launcher had left: ${ended.join(', ')}`)
  await makeFolder(dir)

  const addresses: Addresses = {
    kafka: { brokers: [] },
    redis: { url: '' },
    postgres: { url: '' },
    vault: { addr: '', rootTokenFile: '' },
    aws: { endpoint: '', region: AWS_REGION, adminCredentialsFile: '' },
  }
  const servers: Partial<Record<ServerName, Server>> = {}
  let givenUp = false
  const underWay: Promise<void>[] = []
  async function stop(): Promise<void> {
    await Promise.all(Object.values(servers).map((server) => server.stop()))
    await clearFolder(dir)
    if (!temporary) return
    await rm(dir, { recursive: true, force: true })
    forget(temporary)
  }

  async function startOne(name: ServerName, make: Make): Promise<void> {
    const server = await make(dir, ports, addresses)
    servers[name] = server
    const startedAt = performance.now()
    await server.start()
    server.onDeath?.(() => progress(`${name} has ended by itself: see ${logFile(dir, name)}`))
    progress(`${name} is up (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`)
  }

  try {
    for (const name of wanted) {
      if (options.own || !(await fromEnvironment[name](addresses, dir))) continue
      servers[name] = givenServer(name)
      wanted.delete(name)
      progress(`${name} is given by the environment`)
    }
    Object.assign(servers, await dockerServers(dir, [...wanted], ports, addresses, progress))
    for (const name of Object.keys(servers)) wanted.delete(name as ServerName)
    await Promise.all(
      [...wanted].map(async (name) => {
        const make = await NATIVE[name](progress)
        if (givenUp) return
        const starting = startOne(name, make)
        underWay.push(starting)
        await starting
      }),
    )
  } catch (error) {
    // Without waiting for what is only being fetched or built: that may take minutes yet, and touches nothing in here.
    givenUp = true
    await Promise.allSettled(underWay)
    await stop().catch(() => {})
    throw error
  }

  for (const name of SERVER_NAMES) servers[name] ??= givenServer(name)
  return {
    dir,
    ...addresses,
    env: environmentOf(addresses),
    servers: servers as Record<ServerName, Server>,
    stop,
  }
}

type Make = (dir: string, ports: Ports, addresses: Addresses) => Promise<Server>

/** Fetches or builds what a server needs, which may take long; what comes back lays it out in a stack's folder. */
const NATIVE: Record<ServerName, (progress: Progress) => Promise<Make>> = {
  async kafka(progress) {
    const files = await prepareKafka(progress)
    return async (dir, ports, addresses) => {
      const { server, brokers } = await kafkaServer(dir, ports, files)
      addresses.kafka = { brokers }
      return server
    }
  },
  async redis(progress) {
    const binary = await prepareRedis(progress)
    return async (dir, ports, addresses) => {
      const { server, url } = await redisServer(dir, ports, binary)
      addresses.redis = { url }
      return server
    }
  },
  async postgres(progress) {
    const files = await preparePostgres(progress)
    return async (dir, ports, addresses) => {
      const { server, url } = await postgresServer(dir, ports, files)
      addresses.postgres = { url }
      return server
    }
  },
  async vault(progress) {
    const files = await prepareVault(progress)
    return async (dir, ports, addresses) => {
      const { server, ...vault } = await vaultServer(dir, ports, files)
      addresses.vault = vault
      return server
    }
  },
  async aws(progress) {
    const python = await prepareAws(progress)
    return async (dir, ports, addresses) => {
      const { server, ...aws } = await awsServer(dir, ports, python)
      addresses.aws = { ...aws, region: AWS_REGION }
      return server
    }
  },
}

/** True, and the address filled in, where the environment names a server. Administrators' secrets come as files. */
const fromEnvironment: Record<ServerName, (addresses: Addresses, dir: string) => Promise<boolean>> = {
  async kafka({ kafka }) {
    kafka.brokers = (process.env.KAFKA_BROKERS ?? '').split(',').filter(Boolean)
    return kafka.brokers.length > 0
  },
  async redis({ redis }) {
    redis.url = process.env.REDIS_URL ?? ''
    return redis.url !== ''
  },
  async postgres({ postgres }) {
    postgres.url = process.env.DATABASE_URL ?? ''
    return postgres.url !== ''
  },
  async vault({ vault }, dir) {
    vault.addr = process.env.VAULT_ADDR ?? ''
    if (vault.addr === '') return false
    vault.rootTokenFile = process.env.VAULT_TOKEN_FILE ?? join(dir, 'admin', 'vault-root-token')
    const token = process.env.VAULT_TOKEN
    if (!process.env.VAULT_TOKEN_FILE && token) await writeFile(vault.rootTokenFile, token, { mode: 0o600 })
    if (existsSync(vault.rootTokenFile)) return true
    throw new Complaint(
      'VAULT_ADDR names a server but no administrator: give the file with its token in VAULT_TOKEN_FILE.',
    )
  },
  async aws({ aws }, dir) {
    aws.endpoint = process.env.AWS_ENDPOINT_URL ?? ''
    if (aws.endpoint === '') return false
    aws.region = process.env.AWS_REGION ?? AWS_REGION
    aws.adminCredentialsFile =
      process.env.AWS_SHARED_CREDENTIALS_FILE ?? join(dir, 'admin', 'aws-credentials')
    const [id, secret] = [process.env.AWS_ACCESS_KEY_ID, process.env.AWS_SECRET_ACCESS_KEY]
    if (!process.env.AWS_SHARED_CREDENTIALS_FILE && id && secret)
      await writeFile(aws.adminCredentialsFile, credentialsFile({ id, secret }), { mode: 0o600 })
    if (existsSync(aws.adminCredentialsFile)) return true
    throw new Complaint(
      'AWS_ENDPOINT_URL names a server but no administrator: give the file with its keys in AWS_SHARED_CREDENTIALS_FILE.',
    )
  },
}
