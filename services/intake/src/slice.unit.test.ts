import { RekeyError } from '@rekey/contracts'
import { encode, newEvent } from '@rekey/events'
import { createLogger } from '@rekey/runtime'
import { describe, expect, test } from 'vitest'
import type { Inbox } from './inbox.ts'
import { MemoryInbox } from './memory-inbox.ts'
import { Interrupted, Patience } from './patience.ts'
import type { Located } from './reading.ts'
import { Recent } from './recent.ts'
import { type Answer, judgeSlice } from './slice.ts'

const logger = createLogger({ service: 'test' })
logger.level = 'silent'

let offset = 0
function record(id: string, over: Partial<Located> = {}, zone = 'eu-central-1b'): Located {
  const event = newEvent(
    { type: 'zonechanged', workload: 'chat-gateway', environment: 'prod', facts: { zone } },
    { id, source: '/ci', at: new Date('2026-11-21T10:00:00Z') },
  )
  const { value, headers } = encode(event, 'binary')
  offset += 1
  return {
    key: null,
    value: Buffer.from(value),
    headers,
    topic: 'rekey.changes.ci.v1',
    partition: 0,
    offset: String(offset),
    ...over,
  }
}

async function run(records: Located[], inbox: Inbox, stop = new AbortController()) {
  const answers: Answer[] = []
  const judge = {
    inbox,
    patience: new Patience(logger, stop.signal),
    recent: new Recent(),
    now: () => new Date('2026-11-21T10:00:00Z'),
  }
  let beats = 0
  const done = judgeSlice(
    records,
    judge,
    async () => {
      beats += 1
    },
    (answer) => answers.push(answer),
  )
  const error = await done.then(
    () => undefined,
    (failure: unknown) => failure,
  )
  return { answers, error, beats: () => beats, troubles: judge.patience.troubles }
}

const verdicts = (answers: Answer[]) => answers.map(({ verdict }) => verdict && [verdict.id, verdict.verdict])

describe('judgeSlice', () => {
  test('answers in the order of the records', async () => {
    const inbox = new MemoryInbox()
    const { answers } = await run([record('a'), record('b'), record('a'), record('a', {}, 'c')], inbox)
    expect(verdicts(answers)).toEqual([
      ['a', 'rotation-opened'],
      ['b', 'rotation-opened'],
      ['a', 'duplicate'],
      ['a', 'conflict'],
    ])
    expect(answers.flatMap((each) => each.records.map(({ topic, key }) => `${topic} ${key}`))).toEqual(
      ['a', 'b', 'a', 'a'].map((id) => `rekey.verdicts.v1 ${id}`),
    )
  })

  test('judges different events one after the other, and repeats side by side', async () => {
    const inbox = new MemoryInbox()
    await run([record('a'), record('b'), record('c')], inbox)
    expect(inbox.runningMax).toBe(1)
    await run(
      [...Array(50)].map(() => record('a')),
      inbox,
    )
    expect(inbox.runningMax).toBe(8)
    expect(inbox.calls).toHaveLength(53)
  })

  test('gives a bad record with an id a verdict and a dead letter', async () => {
    const { answers } = await run(
      [record('a', { value: Buffer.from('{"key":"hunter2"') })],
      new MemoryInbox(),
    )
    expect(verdicts(answers)).toEqual([['a', 'rejected']])
    expect(answers[0]?.records.map(({ topic }) => topic)).toEqual([
      'rekey.dead-letter.v1',
      'rekey.verdicts.v1',
    ])
    expect(answers[0]?.verdict?.reason).toBe('value: malformed JSON')
    expect(JSON.stringify(answers)).not.toContain('hunter2')
  })

  test('gives a record without an id a dead letter only', async () => {
    const inbox = new MemoryInbox()
    const { answers } = await run([record('a', { headers: {} }), record('b')], inbox)
    expect(verdicts(answers)).toEqual([undefined, ['b', 'rotation-opened']])
    expect(answers[0]?.records.map(({ topic }) => topic)).toEqual(['rekey.dead-letter.v1'])
    expect(inbox.calls).toEqual(['b'])
  })

  test('waits for the ledger, keeps the session alive, and then goes on', async () => {
    const inbox = new MemoryInbox()
    let failures = 0
    inbox.fail = () => (++failures <= 2 ? new Error('connection refused') : undefined)
    const { answers, beats, troubles } = await run([record('a'), record('b')], inbox)
    expect(verdicts(answers)).toEqual([
      ['a', 'rotation-opened'],
      ['b', 'rotation-opened'],
    ])
    // Before each record, and after each failure.
    expect(beats()).toBe(2 + 2)
    expect(troubles.size).toBe(0)
  })

  test('stops waiting when it is told to, and still gives the answers that it has', async () => {
    const inbox = new MemoryInbox()
    const stop = new AbortController()
    inbox.fail = (id) => (id === 'b' ? new Error('connection refused') : undefined)
    setTimeout(() => stop.abort(), 20)
    const { answers, error } = await run([record('a'), record('b'), record('c')], inbox, stop)
    expect(verdicts(answers)).toEqual([['a', 'rotation-opened']])
    expect(error).toBeInstanceOf(Interrupted)
    expect(inbox.calls).toEqual(['a'])
  })

  test.each([
    new RekeyError('invalid_event', 'no'),
    Object.assign(new Error('invalid byte sequence: hunter2'), { code: '22021' }),
  ])('does not stop for ever at an event that the ledger cannot store', async (failure) => {
    const inbox = new MemoryInbox()
    inbox.fail = (id) => (id === 'a' ? failure : undefined)
    const { answers } = await run([record('a'), record('b')], inbox)
    expect(verdicts(answers)).toEqual([undefined, ['b', 'rotation-opened']])
    expect(answers[0]?.records.map(({ topic }) => topic)).toEqual(['rekey.dead-letter.v1'])
    expect(JSON.stringify(answers)).not.toContain('hunter2')
  })
})
