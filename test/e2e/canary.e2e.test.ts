import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { type Fault, type FaultProxy, startFaultProxy } from '@rekey/testing'
import { Redis } from 'ioredis'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { startWorld, type World } from './world.ts'

/**
 * No secret value in an event, job, log, metric, trace, error, argv or env (I10). The values that a rotation made, and
 * the tokens that services and nodes use, are searched in everything that Rekey wrote or runs with; and the search
 * itself is shown to find what was planted there.
 */
const stack = inject('stack')
let world: World
let aws: FaultProxy
let vault: FaultProxy
const secrets = new Map<string, Secret>()
/** Written by this test into every place that is searched. */
const PLANTED = Secret.of('planted-canary-7f3d2c1b0a998877')

beforeAll(async () => {
  aws = await startFaultProxy(stack.awsEndpoint)
  vault = await startFaultProxy(stack.vaultAddr)
  world = await startWorld({ stack, servers: { awsEndpoint: aws.url, vaultAddr: vault.url } })
  await keep('generation 1')
  await rotateThroughFaults()
  await keep('generation 2')
  for (const service of ['rotator', 'prober', 'fleet'])
    secrets.set(
      `${service}'s secret id`,
      Secret.of(readFileSync(join(stack.identitiesDir, service, 'vault-secret-id'), 'utf8').trim()),
    )
  secrets.set('control token', Secret.of(readFileSync(world.platform.control.tokenFile, 'utf8').trim()))
  world.joinTokens.forEach((token, index) => {
    secrets.set(`join token ${index + 1}`, Secret.of(token))
  })
  await plant()
})
afterAll(async () => {
  await world?.close()
  await Promise.all([aws?.close(), vault?.close()])
})

async function keep(name: string): Promise<void> {
  const value = (await world.readers.vault())?.value
  if (!value) throw new Error(`${name} is in no store`)
  secrets.set(name, value)
}

/** Errors leak more than successes: servers echo what they were sent, and calls and replies are lost. */
const FAULTS: Fault[] = [
  { kind: 'answer', status: 500, body: (sent) => sent.toString() },
  { kind: 'answer', status: 400, body: (sent) => sent.toString() },
  { kind: 'lose-reply' },
  { kind: 'lose-request' },
]

/** Each fault lasts until an effect on the store failed of it. AWS gets the value from Vault, so it comes second. */
async function rotateThroughFaults(): Promise<void> {
  const stores = { vault, aws }
  for (const proxy of Object.values(stores)) proxy.arm('every', { kind: 'lose-request' })
  const { rotation } = await world.control.rotate(world.credential, 'canary')
  for (const [store, proxy] of Object.entries(stores)) {
    for (const fault of FAULTS) {
      proxy.arm('every', fault)
      const seen = failures(store)
      await reached(rotation, `${store}: ${fault.kind}`, async () => failures(store) > seen)
    }
    proxy.heal()
  }
  await reached(rotation, 'the end', async () => Boolean((await world.control.rotation(rotation)).outcome))
}

/** What holds for good on the way is resumed, as an operator would. */
async function reached(rotation: string, what: string, seen: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      const { hold } = await world.control.rotation(rotation)
      if (hold?.reason === 'effect_failed')
        await world.control.resume(rotation, 'the fault is gone').catch(() => undefined)
      if (!(await seen())) throw new Error(`not reached: ${what}`)
    },
    { timeout: 60_000, interval: 50 },
  )
}

/** How many stagings on a store failed so far. */
function failures(store: string): number {
  const log = readFileSync(join(world.platform.logsDir, 'rotator.log'), 'utf8')
  const failed = log.split('\n').filter((line) => line.includes('effect failed'))
  return failed.filter((line) => line.includes(`.stage.${store}-`)).length
}

async function plant(): Promise<void> {
  const value = PLANTED.reveal()
  writeFileSync(join(world.platform.logsDir, 'planted.log'), `{"msg":"${value}"}\n`)
  await withKafka(async (kafka) => {
    const producer = kafka.producer()
    await producer.connect()
    await producer.send({
      topic: world.auditTopic,
      messages: [{ value: `x${value}`, headers: { h: value } }],
    })
    await producer.disconnect()
  })
  await withRedis((redis) => redis.hset('bull:planted', 'data', value))
  await withDatabase((db) =>
    db.query(
      "insert into journal (position, stream, seq, type, data, actor) values (1000000, 'planted', 1, 'x', $1, 'x')",
      [JSON.stringify({ value })],
    ),
  )
}

/** Every place, as text. */
const PLACES: Record<string, () => Promise<string>> = {
  'logs of services, agents and gateways': async () => filesBelow(world.dir, (name) => name.endsWith('.log')),
  'Kafka records': allRecords,
  'the Redis database': allKeys,
  'the ledger': allRows,
}

describe('the search', () => {
  test.each(Object.keys(PLACES))('finds what was planted in %s', async (place) => {
    expect(traces((await PLACES[place]?.()) ?? '', PLANTED)).not.toEqual([])
  })

  test('reads the environment and the arguments of processes', () => {
    const shown = processes()
    expect(shown.length).toBeGreaterThanOrEqual(8)
    expect(shown.every((p) => p.text.includes('main.ts'))).toBe(true)
  })
})

describe('no secret', () => {
  test.each(Object.keys(PLACES))('is in %s', async (place) => {
    const text = (await PLACES[place]?.()) ?? ''
    for (const [name, secret] of secrets) expect(traces(text, secret), name).toEqual([])
  })

  test('is in the environment or the arguments of a process', () => {
    for (const { name, text } of processes())
      for (const [which, secret] of secrets) expect(traces(text, secret), `${which} in ${name}`).toEqual([])
  })

  test('is in what the API answers', async () => {
    const rotation = `${world.credential}-g2`
    const answers = [
      await world.control.rotation(rotation),
      await world.control.journal(rotation),
      await world.control.credentials(),
      await world.control.nodes(),
      await world.control.rotate('no-such-credential', 'x').catch((error: Error) => error.message),
    ]
    for (const [name, secret] of secrets) expect(traces(JSON.stringify(answers), secret), name).toEqual([])
  })
})

/** The spellings in which a value may be found. */
function traces(text: string, secret: Secret): string[] {
  const value = secret.reveal()
  const bytes = Buffer.from(value)
  const spellings: Record<string, string> = {
    plain: value,
    base64: bytes.toString('base64').replace(/=+$/, '').slice(0, -2),
    hex: bytes.toString('hex'),
    'url-encoded': encodeURIComponent(value),
    'its middle': value.slice(8, 28),
  }
  return Object.entries(spellings).flatMap(([name, spelling]) => (text.includes(spelling) ? [name] : []))
}

function filesBelow(folder: string, wanted: (name: string) => boolean): string {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => wanted(name) && statSync(join(folder, name)).isFile())
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n')
}

function processes(): { name: string; text: string }[] {
  const pids = [
    ...Object.values(world.platform.services).map((s) => ({ name: s.spec.name, pid: s.pid })),
    ...world.gateways.map((g) => ({ name: g.agent.spec.name, pid: g.agent.pid })),
  ]
  return pids.map(({ name, pid }) => ({
    name,
    text: execFileSync('cat', [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]).toString(),
  }))
}

async function withKafka<T>(work: (kafka: Kafka) => Promise<T>): Promise<T> {
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
  return work(new Kafka({ clientId: 'canary', brokers: stack.kafkaBrokers, logLevel: logLevel.NOTHING }))
}

/** Values, keys and headers of every topic of the broker. */
async function allRecords(): Promise<string> {
  return withKafka(async (kafka) => {
    const admin = kafka.admin()
    await admin.connect()
    const topics = (await admin.listTopics()).filter((t) => t.startsWith('rekey.'))
    const ends = new Map<string, number>()
    for (const topic of topics)
      for (const { partition, low, high } of await admin.fetchTopicOffsets(topic))
        if (high !== low) ends.set(`${topic}/${partition}`, Number(high))
    const consumer = kafka.consumer({ groupId: `canary-${crypto.randomUUID()}`, maxWaitTimeInMs: 100 })
    await consumer.connect()
    await consumer.subscribe({ topics, fromBeginning: true })
    const texts: string[] = []
    const all = Promise.withResolvers<void>()
    await consumer.run({
      eachMessage: async ({ topic, partition, message }) => {
        texts.push(
          String(message.key),
          String(message.value),
          JSON.stringify(message.headers, (_k, v) =>
            v?.type === 'Buffer' ? Buffer.from(v.data).toString() : v,
          ),
        )
        if (Number(message.offset) + 1 >= (ends.get(`${topic}/${partition}`) ?? Number.POSITIVE_INFINITY))
          ends.delete(`${topic}/${partition}`)
        if (ends.size === 0) all.resolve()
      },
    })
    if (ends.size === 0) all.resolve()
    await all.promise
    await Promise.all([consumer.disconnect(), admin.disconnect()])
    return texts.join('\n')
  })
}

async function withRedis<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(world.servers.redisUrl, { protocol: 2 })
  try {
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}

async function allKeys(): Promise<string> {
  return withRedis(async (redis) => {
    const texts: string[] = []
    for (const key of await redis.keys('*')) {
      const type = await redis.type(key)
      const value = {
        hash: () => redis.hgetall(key),
        list: () => redis.lrange(key, '0', '-1'),
        zset: () => redis.zrange(key, '0', '-1'),
        set: () => redis.smembers(key),
        string: () => redis.get(key),
        stream: () => redis.xrange(key, '-', '+'),
      }[type]
      texts.push(key, JSON.stringify(await value?.()))
    }
    return texts.join('\n')
  })
}

async function withDatabase<T>(work: (db: pg.Client) => Promise<T>): Promise<T> {
  const db = new pg.Client({ connectionString: world.servers.postgresUrl })
  await db.connect()
  try {
    return await work(db)
  } finally {
    await db.end()
  }
}

async function allRows(): Promise<string> {
  return withDatabase(async (db) => {
    const { rows: tables } = await db.query("select tablename from pg_tables where schemaname = 'public'")
    const texts: string[] = []
    for (const { tablename } of tables) {
      const { rows } = await db.query(`select t::text as row from ${pg.escapeIdentifier(tablename)} t`)
      texts.push(...rows.map((r) => r.row))
    }
    return texts.join('\n')
  })
}
