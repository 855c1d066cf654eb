import { randomUUID } from 'node:crypto'
import type { Verdict } from '@rekey/contracts'
import { changesTopic, DEAD_LETTER_TOPIC, encode, newEvent, VERDICTS_TOPIC } from '@rekey/events'
import { createLogger } from '@rekey/runtime'
import { connectKafka } from '@rekey/runtime/kafka'
import type {} from '@rekey/testing'
import type { Consumer, Kafka, Message } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { Inbox } from './inbox.ts'
import { type Intake, startIntake } from './intake.ts'
import { MemoryInbox } from './memory-inbox.ts'

/** Real Kafka, and an inbox in memory that can be made to fail. */

const logger = createLogger({ service: 'intake-test' })
logger.level = 'silent'
const kafka = connectKafka({ brokers: inject('stack').kafkaBrokers, clientId: 'intake-test', logger })
const producer = kafka.producer()
const admin = kafka.admin()

/** What intake published, of every test; each test looks for its own ids and topics. */
const verdicts: Verdict[] = []
const deadLetters: Record<string, unknown>[] = []
let watcher: Consumer
const waiting = new Set<() => void>()

beforeAll(async () => {
  await Promise.all([producer.connect(), admin.connect()])
  const existing = await admin.listTopics()
  const missing = [VERDICTS_TOPIC, DEAD_LETTER_TOPIC].filter((topic) => !existing.includes(topic))
  await createTopics(missing)
  watcher = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 200 })
  await watcher.connect()
  await watcher.subscribe({ topics: [VERDICTS_TOPIC, DEAD_LETTER_TOPIC], fromBeginning: true })
  await watcher.run({
    eachMessage: async ({ topic, message }) => {
      const data = JSON.parse(String(message.value))
      if (topic === VERDICTS_TOPIC) verdicts.push(data)
      else deadLetters.push(data)
      for (const check of waiting) check()
    },
  })
})

afterAll(async () => {
  await Promise.all([watcher.disconnect(), producer.disconnect(), admin.disconnect()])
})

async function createTopics(names: string[], numPartitions = 1) {
  if (names.length === 0) return
  const topics = names.map((topic) => ({
    topic,
    numPartitions,
    configEntries: [{ name: 'max.message.bytes', value: String(4 * 1024 * 1024) }],
  }))
  await admin.createTopics({ topics, waitForLeaders: true })
}

/** Resolves as soon as `seen` says yes, checked at each record that arrives. */
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

/** An emitter with its own topic and group, and intake that follows only it. */
async function emitter(inbox: Inbox, numPartitions = 1) {
  const name = randomUUID()
  const topic = changesTopic(name)
  await createTopics([topic], numPartitions)
  let intake: Intake | undefined
  return {
    name,
    topic,
    send: (messages: Message[]) => producer.send({ topic, messages, acks: -1 }),
    async start(topics = (candidate: string) => candidate === topic, way: Kafka = kafka) {
      const group = `intake-${name}`
      const onFatal = (error: Error) => {
        throw error
      }
      intake = await startIntake({
        kafka: way,
        inbox,
        logger,
        group,
        topics,
        topicsCheckMs: 300,
        sessionMs: 6000,
        onFatal,
      })
      return intake
    },
    committed: async () => {
      const [offsets] = await admin.fetchOffsets({ groupId: `intake-${name}`, topics: [topic] })
      return Number(offsets?.partitions[0]?.offset)
    },
    /** In the order of each id: the verdicts topic has several partitions. */
    answers: () =>
      verdicts
        .filter(({ source }) => source === `/ci/${name}`)
        .toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)),
    letters: () => deadLetters.filter((letter) => letter.topic === topic),
    event(id: string, workload = 'chat-gateway') {
      return newEvent(
        { type: 'zonechanged', workload, environment: 'prod', facts: { zone: 'eu-central-1b' } },
        { id, source: `/ci/${name}`, at: new Date('2026-11-21T10:00:00Z') },
      )
    },
    async [Symbol.asyncDispose]() {
      await intake?.stop()
    },
  }
}

describe('intake', () => {
  test('answers good events of both modes and commits behind them', async () => {
    await using ci = await emitter(new MemoryInbox())
    await ci.send([encode(ci.event('a'), 'binary'), encode(ci.event('b'), 'structured')])
    await ci.start()
    await until(() => ci.answers().length === 2)
    expect(ci.answers().map(({ id, verdict }) => [id, verdict])).toEqual([
      ['a', 'rotation-opened'],
      ['b', 'rotation-opened'],
    ])
    await ci[Symbol.asyncDispose]()
    expect(await ci.committed()).toBe(2)
  })

  test('each bad record has its reason, the good ones around them are judged, and nothing secret is said', async () => {
    await using ci = await emitter(new MemoryInbox())
    const good = encode(ci.event('good'), 'binary')
    const secret = 'hunter2hunter2'
    const bad: [string, Message][] = [
      ['value: malformed JSON', { ...good, value: `{"password":"${secret}"` }],
      [
        'value: 2097152 bytes are more than the limit of 1048576',
        { ...good, value: Buffer.alloc(2 ** 21, secret) },
      ],
      ['value: none (a tombstone)', { ...good, value: null }],
      ['header ce_type is missing', { value: good.value, headers: without(good.headers, 'ce_type') }],
      ['header ce_id is missing', { value: secret, headers: without(good.headers, 'ce_id') }],
      [
        "data.context.id and the CloudEvent's id disagree",
        { ...good, headers: { ...good.headers, ce_id: 'x' } },
      ],
      [
        'type: version 0.9.9 of dev.cdevents.service.deployed is not supported, only 0.3.0 and 0.2.0',
        retyped(good, 'dev.cdevents.service.deployed.0.9.9'),
      ],
      [
        'data.subject.content.zone: must be a string',
        { ...good, value: good.value.replace('"eu-central-1b"', '7') },
      ],
    ]
    await ci.send([
      encode(ci.event('first'), 'binary'),
      ...bad.map(([, message]) => message),
      encode(ci.event('last'), 'binary'),
    ])
    await ci.start()
    // All but the one without an id have a verdict too.
    await until(() => ci.answers().length === 2 + bad.length - 1 && ci.letters().length === bad.length)
    const letters = ci.letters().toSorted((a, b) => Number(a.offset) - Number(b.offset))
    expect(letters.map(({ reason, offset }) => [reason, offset])).toEqual(
      bad.map(([reason], index) => [reason, String(index + 1)]),
    )
    expect(ci.answers()).toContainEqual(
      expect.objectContaining({ id: 'good', verdict: 'rejected', reason: 'value: malformed JSON' }),
    )
    expect(ci.answers().map(({ id }) => id)).toEqual(expect.arrayContaining(['first', 'last']))
    expect(JSON.stringify([ci.letters(), ci.answers()])).not.toContain('hunter2')
    await ci[Symbol.asyncDispose]()
    expect(await ci.committed()).toBe(bad.length + 2)
  })

  test('1,000 duplicates get 1,000 answers and one effect', async () => {
    const inbox = new MemoryInbox()
    await using ci = await emitter(inbox)
    const record = encode(ci.event('same'), 'binary')
    await ci.send(Array(1000).fill(record))
    await ci.start()
    await until(() => ci.answers().length === 1000)
    expect(Map.groupBy(ci.answers(), ({ verdict }) => verdict).get('rotation-opened')).toHaveLength(1)
    expect(ci.answers()[0]?.verdict).toBe('rotation-opened')
    expect(ci.answers().filter(({ verdict }) => verdict === 'duplicate')).toHaveLength(999)
  })

  test('waits while the ledger is away, says so, and loses nothing', async () => {
    const inbox = new MemoryInbox()
    let attempts = 0
    const tried = Promise.withResolvers<void>()
    let isAway = true
    inbox.fail = () => {
      attempts += 1
      if (attempts === 3) tried.resolve()
      return isAway ? new Error('connection refused') : undefined
    }
    await using ci = await emitter(inbox)
    await ci.send(['a', 'b', 'c'].map((id) => encode(ci.event(id), 'binary')))
    const intake = await ci.start()
    await tried.promise
    expect(intake.troubles()).toEqual(['the ledger'])
    expect(ci.answers()).toEqual([])
    expect(await ci.committed()).toBe(-1)
    isAway = false
    await until(() => ci.answers().length === 3)
    expect(ci.answers().map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    expect(intake.troubles()).toEqual([])
  })

  test('stopped while the ledger is away, it hands the records to the next one', async () => {
    const inbox = new MemoryInbox()
    const tried = Promise.withResolvers<void>()
    inbox.fail = (id) => {
      if (id === 'b') tried.resolve()
      return id === 'b' ? new Error('connection refused') : undefined
    }
    await using ci = await emitter(inbox)
    await ci.send(['a', 'b', 'c'].map((id) => encode(ci.event(id), 'binary')))
    const first = await ci.start()
    await tried.promise
    await first.stop()
    await until(() => ci.answers().length === 1)
    inbox.fail = () => undefined
    await ci.start()
    await until(() => ci.answers().length >= 4)
    expect(ci.answers().map(({ id, verdict }) => `${id} ${verdict}`)).toEqual([
      'a rotation-opened',
      'a duplicate',
      'b rotation-opened',
      'c rotation-opened',
    ])
  })

  test('told to stop between its verdict and the news that Kafka has it, it still commits behind the record', async () => {
    const isOut = Promise.withResolvers<void>()
    const mayGoOn = Promise.withResolvers<void>()
    const slow = Object.create(kafka, {
      producer: {
        value: (options: Parameters<Kafka['producer']>[0]) => {
          const real = kafka.producer(options)
          const sendBatch: typeof real.sendBatch = async (batch) => {
            const sent = await real.sendBatch(batch)
            isOut.resolve()
            await mayGoOn.promise
            return sent
          }
          return { ...real, sendBatch }
        },
      },
    }) as Kafka
    await using ci = await emitter(new MemoryInbox())
    await ci.send([encode(ci.event('a'), 'binary')])
    const intake = await ci.start(undefined, slow)
    await isOut.promise
    const stopped = intake.stop()
    // The consumer has heard of it by then.
    await new Promise(setImmediate)
    mayGoOn.resolve()
    await stopped
    expect(await ci.committed()).toBe(1)
  })

  test('follows the topic of a new emitter without a restart', async () => {
    const inbox = new MemoryInbox()
    await using ci = await emitter(inbox)
    const another = changesTopic(`${ci.name}-two`)
    await ci.start((topic) => topic.startsWith(`rekey.changes.${ci.name}`))
    await ci.send([encode(ci.event('a'), 'binary')])
    await until(() => ci.answers().length === 1)
    await createTopics([another])
    await producer.send({ topic: another, messages: [encode(ci.event('b'), 'binary')] })
    await until(() => ci.answers().length === 2)
    await ci.send([encode(ci.event('c'), 'binary')])
    await until(() => ci.answers().length === 3)
    expect(ci.answers().map(({ id, verdict }) => `${id} ${verdict}`)).toEqual([
      'a rotation-opened',
      'b rotation-opened',
      'c rotation-opened',
    ])
  })
})

function without(headers: Record<string, string>, name: string) {
  return Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name))
}

function retyped(
  { value, headers }: { value: string; headers: Record<string, string> },
  type: string,
): Message {
  return {
    value: value.replace(/"type":"[^"]*"/, `"type":"${type}"`),
    headers: { ...headers, ce_type: type },
  }
}
