import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { migrate } from '@rekey/ledger'
import { SupervisedProcess } from './process.ts'

export const SERVICE_NAMES = ['conductor', 'rotator', 'fleet', 'auditor', 'control', 'intake'] as const
export type ServiceName = (typeof SERVICE_NAMES)[number]

/** Where the real servers are and which identities the services have there. */
export type Servers = {
  kafkaBrokers: string[]
  redisUrl: string
  postgresUrl: string
  vaultAddr: string
  awsEndpoint: string
  awsRegion: string
  identitiesDir: string
}

export type PlatformOptions = {
  servers: Servers
  /** Logs and files that the services share: the control token, the fleet's CA certificate. */
  dir: string
  /** Free ports, one for each of these. */
  ports: { control: number; fleet: number; enrol: number }
  /** Extra environment of every service, for tests: shorter leases, other topics, a preloaded hook. */
  env?: Record<string, string>
  /** Extra environment of single services. */
  only?: Partial<Record<ServiceName, Record<string, string>>>
  /** Services that nothing waits for, and that are not started. */
  leaveOut?: readonly ServiceName[]
}

export type Platform = {
  services: Record<ServiceName, SupervisedProcess>
  control: { url: string; tokenFile: string }
  fleet: { url: string; enrolUrl: string; caFile: string }
  logsDir: string
  /** Starts one more process of a service beside the first, under another name. Only for those that need no port of their own. */
  another(service: 'rotator' | 'conductor' | 'auditor' | 'intake', name: string): Promise<SupervisedProcess>
  stop(): Promise<void>
}

const main = (service: string) => new URL(`../../../services/${service}/src/main.ts`, import.meta.url)

/** Starts every Rekey service as a process of its own, each with only its own identity. */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { servers, dir, ports } = options
  const logsDir = join(dir, 'logs')
  await mkdir(logsDir, { recursive: true })
  await migrate(servers.postgresUrl)
  const tokenFile = join(dir, 'control-token')
  await writeFile(tokenFile, randomBytes(32).toString('base64url'), { mode: 0o600 })
  const caFile = join(dir, 'fleet-ca.pem')
  const identity = (who: string, file: string) => join(servers.identitiesDir, who, file)

  const env: Record<ServiceName, Record<string, string>> = {
    conductor: { REDIS_URL: servers.redisUrl },
    rotator: {
      REDIS_URL: servers.redisUrl,
      VAULT_ADDR: servers.vaultAddr,
      VAULT_ROLE_ID_FILE: identity('rotator', 'vault-role-id'),
      VAULT_SECRET_ID_FILE: identity('rotator', 'vault-secret-id'),
      PROBER_VAULT_ROLE_ID_FILE: identity('prober', 'vault-role-id'),
      PROBER_VAULT_SECRET_ID_FILE: identity('prober', 'vault-secret-id'),
      AWS_CREDENTIALS_FILE: identity('rotator', 'aws-credentials'),
      AWS_ENDPOINT_URL: servers.awsEndpoint,
      AWS_REGION: servers.awsRegion,
    },
    fleet: {
      REDIS_URL: servers.redisUrl,
      VAULT_ADDR: servers.vaultAddr,
      VAULT_ROLE_ID_FILE: identity('fleet', 'vault-role-id'),
      VAULT_SECRET_ID_FILE: identity('fleet', 'vault-secret-id'),
      FLEET_PORT: String(ports.fleet),
      FLEET_ENROL_PORT: String(ports.enrol),
      FLEET_CA_FILE: caFile,
    },
    auditor: { KAFKA_BROKERS: servers.kafkaBrokers.join(',') },
    control: {
      CONTROL_PORT: String(ports.control),
      CONTROL_TOKEN_FILE: tokenFile,
      VAULT_ADDR: servers.vaultAddr,
      VAULT_ROLE_ID_FILE: identity('control', 'vault-role-id'),
      VAULT_SECRET_ID_FILE: identity('control', 'vault-secret-id'),
    },
    intake: { KAFKA_BROKERS: servers.kafkaBrokers.join(',') },
  }
  const make = (service: ServiceName, name: string = service) =>
    new SupervisedProcess({
      name,
      main: main(service),
      env: { DATABASE_URL: servers.postgresUrl, ...env[service], ...options.env, ...options.only?.[service] },
      logFile: join(logsDir, `${name}.log`),
      ready: READY[service],
    })
  const others: SupervisedProcess[] = []
  const services = Object.fromEntries(SERVICE_NAMES.map((name) => [name, make(name)])) as Platform['services']
  const stop = async () => {
    await Promise.all([...Object.values(services), ...others].map((service) => service.stop()))
  }
  try {
    const wanted = SERVICE_NAMES.filter((name) => !options.leaveOut?.includes(name))
    await Promise.all(wanted.map((name) => services[name].start()))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    services,
    control: { url: `http://127.0.0.1:${ports.control}`, tokenFile },
    fleet: { url: `wss://127.0.0.1:${ports.fleet}`, enrolUrl: `https://127.0.0.1:${ports.enrol}`, caFile },
    logsDir,
    async another(service, name) {
      const started = make(service, name)
      others.push(started)
      await started.start()
      return started
    },
    stop,
  }
}

/** The line of each service's log that says that it works. */
const READY: Record<ServiceName, RegExp> = {
  conductor: /conductor started/,
  rotator: /rotator started/,
  fleet: /the fleet channel is open/,
  auditor: /auditor started|ready/,
  control: /control started|listening/i,
  intake: /"msg":"ready"/,
}
