import { type Stack, startStack } from '@rekey/local'
import { createLogger, type Logger } from '@rekey/runtime'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectQueues, type Job, type Lane, queueOf, startWorker } from './index.ts'

/** A Redis of this test's own, which it kills; the ledger is a list of keys. */
let stack: Stack
let closers: (() => Promise<unknown>)[]

beforeEach(async () => {
  stack = await startStack({ only: ['redis'], own: true })
  closers = [() => stack.stop()]
})
afterEach(async () => {
  for (const close of closers.reverse()) await close()
})

/** What was logged above debug, by its sentence. */
function recorder(): { said: string[]; logger: Logger } {
  const said: string[] = []
  const logger = createLogger({ service: 'test' })
  logger.level = 'silent'
  const keep = (first: unknown, second?: unknown) => void said.push(String(second ?? first))
  return { said, logger: Object.assign(logger, { info: keep, warn: keep, error: keep }) }
}

type WorkingOptions = { concurrency?: number; handler?: (job: Job, lane: Lane) => Promise<void> | undefined }

function startWorking(options: WorkingOptions = {}) {
  const { said, logger } = recorder()
  const woken: string[] = []
  const taken: string[] = []
  const due: string[] = []
  const urgent: string[] = []
  let news = (_lane: Lane) => {}
  let underWay = 0
  let mostUnderWay = 0
  const doing = async (work: () => unknown) => {
    mostUnderWay = Math.max(mostUnderWay, ++underWay)
    await work()
    underWay--
  }
  const worker = startWorker({
    redisUrl: stack.redis.url,
    queue: 'rotator',
    concurrency: options.concurrency ?? 4,
    reserved: 1,
    handler: (job, lane) => doing(() => options.handler?.(job, lane) ?? woken.push(job.effect)),
    direct: {
      look: async ({ lane, limit }) => ({
        keys: (lane === 'emergency' ? urgent : due).slice(0, limit),
        nextMs: undefined,
      }),
      take: (key, lane) =>
        doing(() => {
          const waiting = lane === 'emergency' ? urgent : due
          const at = waiting.indexOf(key)
          if (at < 0) return
          waiting.splice(at, 1)
          taken.push(key)
        }),
      onNews(heard) {
        news = heard
        return { close: async () => {} }
      },
    },
    logger,
  })
  closers.push(() => worker.close())
  const write = (...keys: string[]) => {
    due.push(...keys)
    news('routine')
  }
  const writeEmergency = (key: string) => {
    urgent.push(key)
    news('emergency')
  }
  return { worker, woken, taken, said, write, writeEmergency, mostUnderWay: () => mostUnderWay }
}

const connect = () => {
  const { said, logger } = recorder()
  const queues = connectQueues(stack.redis.url, logger)
  closers.push(() => queues.close())
  return { queues, said }
}

const wake = (effect: string, lane: Lane = 'routine') =>
  connect().queues.add(queueOf('rotator', lane), effect, { effect })

describe('a worker', () => {
  test('does what it is woken for', async () => {
    const { woken, taken } = startWorking()
    await wake('a')
    await expect.poll(() => woken).toEqual(['a'])
    expect(taken).toEqual([])
  })

  test('starts without Redis, takes what is due, and is woken again once Redis is there', async () => {
    await stack.servers.redis.kill()
    const { woken, taken, said, write } = startWorking()
    write('a', 'b')
    await expect.poll(() => taken, { timeout: 5_000 }).toEqual(['a', 'b'])
    await stack.servers.redis.start()
    await wake('c')
    await expect.poll(() => woken, { timeout: 10_000 }).toEqual(['c'])
    expect(said).toEqual([
      'Redis does not answer: due effects are taken from the ledger',
      'Redis answers again',
    ])
  })

  test('goes on through an outage of Redis, of which it speaks once, and through a flush', async () => {
    const { woken, taken, said, write } = startWorking()
    await wake('a')
    await expect.poll(() => woken).toEqual(['a'])
    await stack.servers.redis.kill()
    write('b')
    await expect.poll(() => taken, { timeout: 5_000 }).toEqual(['b'])
    await stack.servers.redis.start()
    await wake('c')
    await expect.poll(() => woken, { timeout: 10_000 }).toEqual(['a', 'c'])
    expect(said.filter((text) => text.startsWith('Redis'))).toHaveLength(2)
    const { queues } = connect()
    await queues.add('other', 'x', { effect: 'x' })
    await flush()
    await queues.add('rotator', 'd', { effect: 'd' })
    await expect.poll(() => woken, { timeout: 10_000 }).toEqual(['a', 'c', 'd'])
  })

  test('works on no more at once than it was told to, whichever way the work came', async () => {
    const gate = Promise.withResolvers<void>()
    const { taken, write, mostUnderWay } = startWorking({ concurrency: 2, handler: () => gate.promise })
    const { queues } = connect()
    for (const key of ['a', 'b', 'c']) await queues.add('rotator', key, { effect: key })
    await expect.poll(mostUnderWay).toBe(2)
    write('d', 'e', 'f', 'g', 'h')
    gate.resolve()
    await expect.poll(() => taken, { timeout: 5_000 }).toEqual(['d', 'e', 'f', 'g', 'h'])
    expect(mostUnderWay()).toBe(2)
  })

  test('takes emergencies while its routine work stands still, whichever way they come', async () => {
    const gate = Promise.withResolvers<void>()
    const { woken, taken, write, writeEmergency, mostUnderWay } = startWorking({
      concurrency: 2,
      handler: (_job, lane) => (lane === 'routine' ? gate.promise : undefined),
    })
    const { queues } = connect()
    for (const key of ['a', 'b', 'c', 'd']) await queues.add('rotator', key, { effect: key })
    await expect.poll(mostUnderWay).toBe(2)
    write('e')
    await wake('x', 'emergency')
    await expect.poll(() => woken).toEqual(['x'])
    writeEmergency('y')
    await expect.poll(() => taken, { timeout: 5_000 }).toEqual(['y'])
    await stack.servers.redis.kill()
    writeEmergency('z')
    await expect.poll(() => taken, { timeout: 5_000 }).toEqual(['y', 'z'])
    expect(mostUnderWay()).toBe(3)
    gate.resolve()
    await expect.poll(() => taken, { timeout: 5_000 }).toContain('e')
  })

  test('ends although it has never reached Redis', async () => {
    await stack.servers.redis.kill()
    const { worker, taken, write } = startWorking()
    write('a')
    await expect.poll(() => taken, { timeout: 5_000 }).toEqual(['a'])
    await worker.close()
  })

  test('ends while Redis is away, and only after what it has under way', async () => {
    const gate = Promise.withResolvers<void>()
    const { worker, mostUnderWay } = startWorking({ handler: () => gate.promise })
    await wake('a')
    await expect.poll(mostUnderWay).toBe(1)
    await stack.servers.redis.kill()
    let isClosed = false
    const closing = worker.close().then(() => {
      isClosed = true
    })
    await expect.poll(() => connectQueuesIsAway()).toBe(true)
    expect(isClosed).toBe(false)
    gate.resolve()
    await closing
  })
})

describe('the sending side', () => {
  test('connects when Redis is there, and says when it is', async () => {
    await stack.servers.redis.kill()
    const { queues, said } = connect()
    let rang = 0
    queues.onReady(() => rang++)
    await expect.poll(() => said).toEqual(['Redis does not answer: due effects are taken from the ledger'])
    expect(queues.isReady()).toBe(false)
    await stack.servers.redis.start()
    await expect.poll(() => rang, { timeout: 5_000 }).toBe(1)
    expect(queues.isReady()).toBe(true)
    await queues.add('rotator', 'a', { effect: 'a' })
    expect(said.at(-1)).toBe('Redis answers again')
  })
})

/** A second client that sees Redis gone: whoever else holds a connection has had the time to see it too. */
async function connectQueuesIsAway(): Promise<boolean> {
  const { queues, said } = connect()
  await expect.poll(() => said.length).toBe(1)
  return !queues.isReady()
}

async function flush(): Promise<void> {
  const redis = new Redis(stack.redis.url, { protocol: 2 })
  await redis.flushall()
  redis.disconnect()
}
