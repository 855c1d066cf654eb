import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { SERVICE_NAMES, type ServiceName, SupervisedProcess } from '@rekey/platform'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import type { World } from '../e2e/world.ts'

/** What a human does who restores the ledger, as docs/runbooks/ledger-restored.md says it. */

export async function stopServices({ platform }: World): Promise<void> {
  await Promise.all(Object.values(platform.services).map((service) => service.stop()))
}

export async function startServices({ platform }: World, names: readonly ServiceName[]): Promise<void> {
  await Promise.all(
    names.map(async (name) => {
      platform.services[name] = new SupervisedProcess(platform.services[name].spec)
      await platform.services[name].start()
    }),
  )
}

export const ALL_BUT_CONTROL = SERVICE_NAMES.filter((name) => name !== 'control')

/** A copy of the ledger as it is; nobody may be connected. */
export async function backUp(world: World): Promise<string> {
  const name = databaseOf(world)
  const copy = `${name}_backup`
  await maintain(world, [`create database ${copy} template ${name}`])
  return copy
}

export async function restore(world: World, copy: string): Promise<void> {
  const name = databaseOf(world)
  await maintain(world, [
    `drop database ${name} with (force)`,
    `create database ${name} template ${copy}`,
    `drop database ${copy}`,
  ])
}

const databaseOf = ({ servers }: World) => new URL(servers.postgresUrl).pathname.slice(1)

async function maintain({ servers }: World, statements: string[]): Promise<void> {
  const url = new URL(servers.postgresUrl)
  url.pathname = '/postgres'
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

const MAIN = new URL('../../packages/cli/src/main.ts', import.meta.url).pathname

/** The command line, as a process of its own. */
export async function rekey(
  { platform }: World,
  ...argv: string[]
): Promise<{ exit: number; out: string; json: () => unknown }> {
  const { url, tokenFile } = platform.control
  const env = { PATH: process.env.PATH, USER: 'ana', REKEY_URL: url, REKEY_TOKEN_FILE: tokenFile }
  const ended = await promisify(execFile)(process.execPath, [MAIN, ...argv], { env }).then(
    ({ stdout }) => ({ exit: 0, out: stdout, err: '' }),
    (error) => ({ exit: Number(error.code), out: String(error.stdout), err: String(error.stderr) }),
  )
  if (ended.exit === 1) throw new Error(`rekey ${argv.join(' ')}: ${ended.err}`)
  return { ...ended, json: () => JSON.parse(ended.out) }
}

/** Every command of the runbook that says `rekey recover`, without what stands for a name. */
export async function runbookOrders(): Promise<string[]> {
  const text = await readFile(new URL('../../docs/runbooks/ledger-restored.md', import.meta.url), 'utf8')
  return [...text.matchAll(/^rekey recover (--[a-z-]+)/gm)].map((match) => match[1] ?? '')
}

/** Everything that the audit topic has, from its first record on. */
export async function auditRecords({ servers, auditTopic }: World): Promise<string[]> {
  const kafka = new Kafka({ clientId: 'faults', brokers: servers.kafkaBrokers, logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const [end] = await admin.fetchTopicOffsets(auditTopic)
  await admin.disconnect()
  const consumer = kafka.consumer({ groupId: `faults-${auditTopic}-${Date.now()}` })
  await consumer.connect()
  await consumer.subscribe({ topic: auditTopic, fromBeginning: true })
  const records: string[] = []
  const whole = Promise.withResolvers<void>()
  await consumer.run({
    eachMessage: async ({ message }) => {
      records.push(String(message.value))
      if (Number(message.offset) >= Number(end?.high) - 1) whole.resolve()
    },
  })
  await whole.promise
  await consumer.disconnect()
  return records
}

/** By hand, as docs/reference/audit.md says it: one record for one place, and each has the hash of the one before. */
export function brokenAt(records: string[]): string | undefined {
  const uids = new Set<string>()
  let [sequence, hash] = [0, '0'.repeat(64)]
  for (const bytes of new Set(records)) {
    const { metadata, unmapped } = JSON.parse(bytes)
    const link = unmapped.record_integrity
    if (link.sequence !== sequence + 1 || link.previous_hash !== hash) return `sequence ${link.sequence}`
    if (uids.has(metadata.uid)) return metadata.uid
    uids.add(metadata.uid)
    sequence = link.sequence
    hash = createHash('sha256').update(bytes).digest('hex')
  }
  return undefined
}
