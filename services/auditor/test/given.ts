import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Document } from '@rekey/contracts'
import { migrate, openLedger } from '@rekey/ledger'
import { createDatabase, createTopics } from '@rekey/local'
import { createLogger } from '@rekey/runtime'
import { connectKafka } from '@rekey/runtime/kafka'
import type {} from '@rekey/testing'
import type { Consumer, KafkaMessage } from 'kafkajs'
import pg from 'pg'
import { inject } from 'vitest'

/** Real servers, and for each test its own database, topic and auditor processes. */

const MAIN = new URL('../src/main.ts', import.meta.url).pathname
const logger = createLogger({ service: 'auditor-test' })
logger.level = 'silent'

export const kafka = connectKafka({
  brokers: inject('stack').kafkaBrokers,
  clientId: 'auditor-test',
  logger,
})

export type Site = Awaited<ReturnType<typeof givenSite>>

export async function givenSite(options: { partitions?: number } = {}) {
  const name = `audit_${randomUUID().replaceAll('-', '')}`
  const stack = inject('stack')
  const topic = `${name}.v1`
  const url = await createDatabase({ postgres: { url: stack.postgresUrl } }, name)
  await migrate(url)
  await createTopics({ kafka: { brokers: stack.kafkaBrokers } }, [topic], {
    partitions: options.partitions ?? 1,
  })
  const ledger = openLedger({ url, name: 'test' })
  const pool = new pg.Pool({ connectionString: url, max: 3 })
  const running = new Set<Process>()
  const messages: KafkaMessage[] = []
  let consumer: Consumer | undefined

  return {
    topic,
    ledger,
    pool,
    /** Everything that the topic got, in its order. */
    messages,
    values: () => messages.map(({ value }) => String(value)),
    async listen() {
      consumer = kafka.consumer({ groupId: name, maxWaitTimeInMs: 100 })
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({ eachMessage: async ({ message }) => void messages.push(message) })
    },
    async start(env: Record<string, string> = {}): Promise<Process> {
      const process = await startProcess({
        DATABASE_URL: url,
        KAFKA_BROKERS: stack.kafkaBrokers.join(','),
        AUDIT_TOPIC: topic,
        ...env,
      })
      running.add(process)
      return process
    },
    /** A workload and a credential, whose first rotation opens with it. */
    async configure() {
      await ledger.configure(DOCUMENTS, { apply: true, actor: 'ada' })
    },
    join: (node: string) => ledger.createJoinToken({ node, workload: 'chat', ttlMs: 60_000, actor: 'ada' }),
    async audit() {
      const { rows } = await pool.query(
        `select count(*)::int as entries, count(a.sequence)::int as stored, count(a.sent_at)::int as sent,
                count(a.settled_at)::int as settled, coalesce(max(a.sequence), 0)::int as last
         from journal j left join audit_out a using (position)`,
      )
      return rows[0] as Record<'entries' | 'stored' | 'sent' | 'settled' | 'last', number>
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...running].map((process) => process.kill()))
      await Promise.all([consumer?.disconnect(), ledger.close(), pool.end()])
    },
  }
}

type Process = {
  log(): string
  ready(): Promise<{ status: number; failed: string[] }>
  kill(): Promise<void>
}

async function startProcess(env: Record<string, string>): Promise<Process> {
  const port = await closedPort()
  const child: ChildProcess = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, HEALTH_PORT: String(port), HEARTBEAT_MS: '60000', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let log = ''
  child.stdout?.on('data', (chunk) => {
    log += chunk
  })
  const ended = once(child, 'exit')
  return {
    log: () => log,
    async ready() {
      const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
      const body = (await response?.json()) as { failed: string[] } | undefined
      return { status: response?.status ?? 0, failed: body?.failed ?? ['everything'] }
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** A port of loopback that nobody listens on. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

const DOCUMENTS = [
  {
    kind: 'Workload',
    metadata: { name: 'chat' },
    spec: { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team-ai' },
  },
  {
    kind: 'Credential',
    metadata: { name: 'chat-key' },
    spec: {
      workload: 'chat',
      purpose: 'api-key',
      direction: 'inbound',
      authority: { kind: 'nodes', endpoints: [{ name: 'n1', url: 'http://127.0.0.1:1/' }] },
      stores: [{ name: 'vault', kind: 'vault-kv', path: 'chat/key' }],
    },
  },
].map((document) => Document.parse({ apiVersion: 'rekey.dev/v1', ...document }))
