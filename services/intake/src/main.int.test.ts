import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Document, type Verdict } from '@rekey/contracts'
import type { Change } from '@rekey/core'
import { changesTopic, DEAD_LETTER_TOPIC, encode, newEvent, VERDICTS_TOPIC } from '@rekey/events'
import { migrate, openLedger } from '@rekey/ledger'
import { createLogger } from '@rekey/runtime'
import { connectKafka } from '@rekey/runtime/kafka'
import type {} from '@rekey/testing'
import type { Message } from 'kafkajs'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { startRelay } from './relay.ts'

/** The service as it is run, with a real Kafka and a real ledger. */

const stack = inject('stack')
const logger = createLogger({ service: 'intake-test' })
logger.level = 'silent'
const kafka = connectKafka({ brokers: stack.kafkaBrokers, clientId: 'intake-main-test', logger })
const producer = kafka.producer()
const admin = kafka.admin()
const watcher = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 200 })

const run = randomUUID().slice(0, 8)
const source = `/ci/${run}`
const topic = changesTopic(run)
const databaseUrl = new URL(stack.postgresUrl)
databaseUrl.pathname = `/intake_${run}`
const verdicts = new Map<string, Verdict[]>()
const waiting = new Set<() => void>()
const running: Service[] = []
let relay: Awaited<ReturnType<typeof startRelay>>

const documents = [
  {
    kind: 'Workload',
    metadata: { name: 'chat-gateway' },
    spec: {
      spiffeId: 'spiffe://example.org/chat-gateway',
      environment: 'prod',
      owner: 'team-inference',
      zone: 'eu-central-1a',
    },
  },
  {
    kind: 'Credential',
    metadata: { name: 'chat-gateway-key' },
    spec: {
      workload: 'chat-gateway',
      purpose: 'api-key',
      direction: 'inbound',
      authority: {
        kind: 'nodes',
        endpoints: [{ name: 'gateway-1', url: 'http://127.0.0.1:18081/v1/models' }],
      },
      stores: [{ name: 'vault', kind: 'vault-kv', path: 'prod/chat-gateway/api-key' }],
    },
  },
  {
    kind: 'Rule',
    metadata: { name: 'rotate-on-zone-change' },
    spec: { when: { change: ['zonechanged'] }, rotate: ['chat-gateway-key'] },
  },
].map((document) => Document.parse({ apiVersion: 'rekey.dev/v1', ...document }))

beforeAll(async () => {
  await Promise.all([producer.connect(), admin.connect(), watcher.connect()])
  const existing = await admin.listTopics()
  const missing = [VERDICTS_TOPIC, DEAD_LETTER_TOPIC, topic].filter((name) => !existing.includes(name))
  await admin.createTopics({
    topics: missing.map((name) => ({ topic: name, numPartitions: 1 })),
    waitForLeaders: true,
  })
  await watcher.subscribe({ topics: [VERDICTS_TOPIC], fromBeginning: true })
  await watcher.run({
    eachMessage: async ({ message }) => {
      const verdict: Verdict = JSON.parse(String(message.value))
      if (verdict.source === source) verdicts.set(verdict.id, [...(verdicts.get(verdict.id) ?? []), verdict])
      for (const check of waiting) check()
    },
  })
  const client = new pg.Client(stack.postgresUrl)
  await client.connect()
  await client.query(`create database "intake_${run}"`)
  await client.end()
  await migrate(databaseUrl.href)
  const ledger = openLedger({ url: databaseUrl.href, name: 'intake-test' })
  await ledger.configure(documents, { apply: true, actor: 'test' })
  await ledger.close()
  relay = await startRelay(databaseUrl.hostname, Number(databaseUrl.port))
})

afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.stop()))
})

afterAll(async () => {
  await relay.close()
  await Promise.all([watcher.disconnect(), producer.disconnect(), admin.disconnect()])
})

type Service = {
  child: ChildProcess
  health: string
  lines: string[]
  stop(): Promise<unknown>
  kill(): Promise<unknown>
}

/** Starts the service, reaching its database through the relay, and waits until it says that it is ready. */
async function start(): Promise<Service> {
  const through = new URL(databaseUrl)
  through.host = `127.0.0.1:${relay.port}`
  const child = spawn(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      KAFKA_BROKERS: stack.kafkaBrokers.join(','),
      DATABASE_URL: through.href,
      INTAKE_TOPICS: topic,
      INTAKE_GROUP: `intake-${run}`,
      INTAKE_SESSION_MS: '6000',
    },
  })
  const exited = once(child, 'exit')
  const lines: string[] = []
  const ready = Promise.withResolvers<string>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    const entry = JSON.parse(line)
    if (entry.msg === 'ready') ready.resolve(`http://127.0.0.1:${entry.healthPort}/readyz`)
  })
  exited.then(() => ready.reject(new Error(`intake ended:\n${lines.join('\n')}`)))
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return exited
  }
  const service = { child, lines, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') }
  const started = { ...service, health: await ready.promise }
  running.push(started)
  return started
}

function until(seen: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!seen()) return
      waiting.delete(check)
      resolve()
    }
    waiting.add(check)
    check()
  })
}

function message(id: string, over: Partial<Change> = {}): Message {
  const change: Change = {
    type: 'zonechanged',
    workload: 'chat-gateway',
    environment: 'prod',
    facts: { zone: 'eu-central-1b' },
    ...over,
  }
  return {
    ...encode(newEvent(change, { id, source, at: new Date('2026-11-21T10:00:00Z') }), 'binary'),
    key: run,
  }
}

const send = (messages: Message[]) => producer.send({ topic, messages, acks: -1 })
const of = (id: string) => (verdicts.get(id) ?? []).map(({ verdict }) => verdict)
const query = async (text: string) => {
  const client = new pg.Client(databaseUrl.href)
  await client.connect()
  const { rows } = await client.query(text)
  await client.end()
  return rows
}

describe('the intake service', () => {
  test('gives each kind of event its verdict, and prints no payload', async () => {
    const service = await start()
    const secret = 'hunter2hunter2'
    await send([
      message('zone'),
      message('zone'),
      message('zone', { facts: { zone: 'eu-central-1c' } }),
      message('same'),
      message('vendor', { type: 'vendorchanged', facts: { vendor: 'umbrella' } }),
      message('staging', { environment: 'staging' }),
      message('unknown', { workload: 'billing' }),
      { ...message('poison'), value: `{"password":"${secret}"` },
      { ...message('gone'), value: null },
      message('last'),
    ])
    // The verdicts topic has several partitions: the last event's answer may be seen before others.
    const others = ['same', 'vendor', 'staging', 'unknown', 'poison', 'gone', 'last']
    await until(() => of('zone').length >= 3 && others.every((id) => of(id).length > 0))
    expect(of('zone')).toEqual([
      expect.stringMatching(/^(rotation-opened|joined|queued)$/),
      'duplicate',
      'conflict',
    ])
    expect(of('same')).toEqual(['no-change'])
    expect(of('vendor')).toEqual(['no-rule'])
    expect(of('staging')).toEqual(['unknown-workload'])
    expect(of('unknown')).toEqual(['unknown-workload'])
    expect(of('poison')).toEqual(['rejected'])
    expect(of('gone')).toEqual(['rejected'])
    expect(verdicts.get('zone')?.[0]?.rotations).toMatchObject([
      { credential: 'chat-gateway-key', rule: 'rotate-on-zone-change' },
    ])
    expect(service.lines.join('\n')).not.toContain('hunter2')
    expect((await fetch(service.health)).status).toBe(200)
    const [code] = (await service.stop()) as [number]
    expect(code).toBe(0)
  })

  test('1,000 duplicates: 1,000 answers, one entry in the ledger', async () => {
    await start()
    const record = message('storm', { facts: { zone: 'eu-central-1d' } })
    await send([record])
    await until(() => of('storm').length === 1)
    const startedAt = performance.now()
    await send(Array(1000).fill(record))
    await until(() => of('storm').length === 1001)
    console.log(
      `1,000 duplicates, from send to the last verdict: ${Math.round(performance.now() - startedAt)} ms`,
    )
    expect(new Set(of('storm').slice(1))).toEqual(new Set(['duplicate']))
    expect(await query("select count(*)::int as n from inbox where id = 'storm'")).toEqual([{ n: 1 }])
  })

  test('a database that is away stops it, shows in its health, and loses nothing', async () => {
    const service = await start()
    await send([message('before', { workload: 'billing' })])
    await until(() => of('before').length === 1)
    relay.cut()
    const ids = [...Array(20)].map((_, n) => `away-${n}`)
    await send(ids.map((id) => message(id, { workload: 'billing' })))
    await expect.poll(async () => (await fetch(service.health)).status, { timeout: 20_000 }).toBe(503)
    expect(ids.flatMap(of)).toEqual([])
    relay.mend()
    await until(() => ids.every((id) => of(id).length > 0))
    expect(ids.flatMap(of)).toEqual(ids.map(() => 'unknown-workload'))
    await expect.poll(async () => (await fetch(service.health)).status).toBe(200)
  })

  test('killed, it judges each event once and answers each', async () => {
    const ids = [...Array(600)].map((_, n) => `killed-${n}`)
    await send(ids.map((id) => message(id, { workload: 'billing' })))
    const answered = () => ids.filter((id) => verdicts.has(id)).length
    const first = await start()
    await until(() => answered() > 0)
    await first.kill()
    expect(answered()).toBeLessThan(ids.length)
    await start()
    await until(() => verdicts.has(ids.at(-1) ?? '') && answered() === ids.length)
    expect(await query("select count(*)::int as n from inbox where id like 'killed-%'")).toEqual([{ n: 600 }])
    const kinds = new Set(ids.flatMap(of))
    kinds.delete('duplicate')
    expect([...kinds]).toEqual(['unknown-workload'])
  })
})
