import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Addresses } from './addresses.ts'
import { credentialsFile, rootKey } from './aws.ts'
import type { Progress } from './cache.ts'
import { find, run } from './command.ts'
import { Complaint } from './complaint.ts'
import type { PortName, Ports } from './port.ts'
import { createDatabase } from './postgres.ts'
import { forget, watch } from './reaper.ts'
import { answersPing } from './redis.ts'
import type { Server, ServerName } from './server.ts'
import { brokerServes } from './topics.ts'

const composeFile = fileURLToPath(new URL('../../compose/compose.yaml', import.meta.url))
const READY_WITHIN_MS = 120_000

/** The servers that Docker runs for us: all that are wanted, or none where there is no daemon that answers. */
export async function dockerServers(
  dir: string,
  names: readonly ServerName[],
  ports: Ports,
  addresses: Addresses,
  progress: Progress,
): Promise<Partial<Record<ServerName, Server>>> {
  if (names.length === 0 || !(await daemonAnswers())) return {}
  const project = `rekey-${createHash('sha256').update(dir).digest('hex').slice(0, 8)}`
  const entry = `compose ${project} ${composeFile}` as const
  const port = async (name: PortName) => String(await ports(name))
  const env = {
    REKEY_KAFKA_PORT: await port('kafka'),
    REKEY_REDIS_PORT: await port('redis'),
    REKEY_POSTGRES_PORT: await port('postgres'),
    REKEY_VAULT_PORT: await port('vault'),
    REKEY_AWS_PORT: await port('aws'),
    REKEY_ADMIN_DIR: join(dir, 'admin'),
  }
  const compose = (...args: string[]) =>
    run('docker', ['compose', '--project-name', project, '--file', composeFile, ...args], {
      env: { ...process.env, ...env },
    })

  await writeAdmin(dir)
  progress('starting the servers with Docker (the first time it fetches 1 GB of images: a few minutes)')
  watch(entry)
  try {
    await compose('up', '--detach', '--wait', ...names)
  } catch (error) {
    await compose('down', '--volumes', '--timeout', '1').catch(() => {})
    forget(entry)
    // A daemon that cannot fetch images is as good as none: what this machine can do by itself, it does.
    progress(`Docker could not start them (${(error as Error).message}): going on without Docker`)
    return {}
  }

  let left = names.length
  const servers: Partial<Record<ServerName, Server>> = {}
  for (const name of names) {
    const ready = fillIn[name](addresses, env, dir)
    servers[name] = {
      name,
      origin: 'docker',
      async start() {
        await compose('start', name)
        await untilTrue(ready, name)
      },
      async stop() {
        await compose('rm', '--force', '--stop', '--volumes', name)
        left -= 1
        if (left > 0) return
        await compose('down', '--volumes', '--timeout', '1')
        forget(entry)
      },
      async kill() {
        await compose('kill', name)
      },
    }
  }
  await Promise.all(names.map((name) => servers[name]?.start()))
  return servers
}

async function daemonAnswers(): Promise<boolean> {
  if (process.env.REKEY_STACK_DOCKER === 'no' || !find('docker')) return false
  const answers = Promise.all([run('docker', ['info']), run('docker', ['compose', 'version'])]).then(
    () => true,
    () => false,
  )
  // A daemon that hangs does so for minutes.
  return Promise.race([answers, delay(10_000, false, { ref: false })])
}

/** Secrets reach the containers as files in a mounted folder, as everywhere else. */
async function writeAdmin(dir: string): Promise<void> {
  const admin = join(dir, 'admin')
  await mkdir(admin, { recursive: true, mode: 0o700 })
  await writeFile(join(admin, 'vault-root-token'), randomBytes(16).toString('hex'), { mode: 0o600 })
  await writeFile(join(admin, 'aws-credentials'), credentialsFile(rootKey()), { mode: 0o600 })
}

type Environment = Record<string, string>
type Ready = () => Promise<boolean>

const fillIn: Record<ServerName, (addresses: Addresses, env: Environment, dir: string) => Ready> = {
  kafka(addresses, env) {
    const broker = `127.0.0.1:${env.REKEY_KAFKA_PORT}`
    addresses.kafka = { brokers: [broker] }
    return () => brokerServes(broker)
  },
  redis(addresses, env) {
    addresses.redis = { url: `redis://127.0.0.1:${env.REKEY_REDIS_PORT}` }
    return () => answersPing(Number(env.REKEY_REDIS_PORT))
  },
  postgres(addresses, env) {
    const url = `postgres://rekey@127.0.0.1:${env.REKEY_POSTGRES_PORT}/rekey`
    addresses.postgres = { url }
    return async () => {
      await createDatabase({ postgres: { url } }, 'rekey')
      return true
    }
  },
  vault(addresses, env, dir) {
    const addr = `http://127.0.0.1:${env.REKEY_VAULT_PORT}`
    addresses.vault = { addr, rootTokenFile: join(dir, 'admin', 'vault-root-token') }
    return async () => (await fetch(`${addr}/v1/sys/health`)).ok
  },
  aws(addresses, env, dir) {
    const endpoint = `http://127.0.0.1:${env.REKEY_AWS_PORT}`
    addresses.aws = {
      ...addresses.aws,
      endpoint,
      adminCredentialsFile: join(dir, 'admin', 'aws-credentials'),
    }
    return async () => (await fetch(`${endpoint}/_ministack/health`)).ok
  },
}

async function untilTrue(ready: Ready, name: string): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS
  while (!(await ready().catch(() => false))) {
    if (performance.now() > deadline)
      throw new Complaint(
        `${name} was not ready after ${READY_WITHIN_MS / 1000} s: see \`docker compose logs ${name}\`.`,
      )
    await delay(100)
  }
}
