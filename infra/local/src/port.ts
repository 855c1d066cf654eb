import { connect, createServer } from 'node:net'
import { Complaint } from './complaint.ts'

/** The ports of `pnpm stack up`, clear of the servers' usual ones, which a developer's machine may have in use. */
export const FIXED_PORTS = {
  kafka: 19092,
  kafkaController: 19093,
  redis: 16379,
  postgres: 15432,
  vault: 18200,
  vaultCluster: 18201,
  aws: 14566,
} as const

export type PortName = keyof typeof FIXED_PORTS

const OWNERS: Record<PortName, { server: string; given: string }> = {
  kafka: { server: 'Kafka', given: 'KAFKA_BROKERS' },
  kafkaController: { server: "Kafka's controller", given: 'KAFKA_BROKERS' },
  redis: { server: 'Redis', given: 'REDIS_URL' },
  postgres: { server: 'PostgreSQL', given: 'DATABASE_URL' },
  vault: { server: 'Vault', given: 'VAULT_ADDR' },
  vaultCluster: { server: "Vault's cluster listener", given: 'VAULT_ADDR' },
  aws: { server: 'the AWS endpoint', given: 'AWS_ENDPOINT_URL' },
}

export type Ports = (name: PortName) => Promise<number>

export async function fixedPort(name: PortName): Promise<number> {
  const variable = portVariable(name)
  const port = Number(process.env[variable] || FIXED_PORTS[name])
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Complaint(`${variable} is not a port number: give it one between 1 and 65535, or unset it.`)
  if (await isFree(port)) return port
  const { server, given } = OWNERS[name]
  throw new Complaint(
    `Port ${port} on 127.0.0.1, which ${server} needs, is in use: stop the program that has it (perhaps another ` +
      `stack: \`pnpm stack down\`), give another port in ${variable}, or name a running server in ${given}.`,
  )
}

/** For a port that an example names, so that there is no other. */
export async function requirePort(port: number): Promise<void> {
  if (!(await isFree(port)))
    throw new Complaint(`Port ${port} on 127.0.0.1 is in use: stop the program that has it.`)
}

const taken = new Set<number>()

/** Below the range that the kernel gives to outgoing connections, so that none of those takes the port before the server. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (taken.has(port) || !(await isFree(port))) continue
    taken.add(port)
    return port
  }
  throw new Complaint(
    'No free port was found between 20000 and 32000: end some of the programs that listen there.',
  )
}

export function portVariable(name: PortName): string {
  return `REKEY_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}_PORT`
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

export function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host })
    socket.setTimeout(2_000, () => socket.destroy(new Error('no answer')))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
