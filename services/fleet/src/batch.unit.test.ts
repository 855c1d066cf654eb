import { RekeyError } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { until } from '../test/until.ts'
import { Batch } from './batch.ts'

const options = { flushMs: 10, itemsMax: 3, onLost: () => {}, retryMs: [1, 1] }

test('items are written together, in order, and never two writes at once', async () => {
  const writes: number[][] = []
  let running = 0
  const batch = new Batch<number>({
    ...options,
    async write(items) {
      expect(running).toBe(0)
      running += 1
      await new Promise((resolve) => setTimeout(resolve, 5))
      running -= 1
      writes.push(items)
    },
  })
  for (const n of [1, 2, 3, 4, 5]) batch.add(n)
  await batch.flush()
  expect(writes).toEqual([
    [1, 2, 3],
    [4, 5],
  ])
})

test('what comes alone is written promptly, and what follows it together', async () => {
  const writes: number[][] = []
  const batch = new Batch<number>({
    ...options,
    flushMs: 60_000,
    promptMs: 1,
    write: async (items) => void writes.push(items),
  })
  batch.add(1)
  await until('the first is written', () => writes.length === 1, 2_000)
  batch.add(2)
  batch.add(3)
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(writes).toEqual([[1]])
  await batch.flush()
  expect(writes).toEqual([[1], [2, 3]])
})

test('a later item takes the place of one with the same key', async () => {
  const written: string[] = []
  const batch = new Batch<string>({
    ...options,
    keyOf: (item) => item.charAt(0),
    write: async (items) => void written.push(...items),
  })
  batch.add('a1')
  batch.add('b1')
  batch.add('a2')
  await batch.flush()
  expect(written).toEqual(['b1', 'a2'])
})

test('a failed write is tried again, and what is lost in the end is handed back', async () => {
  let tries = 0
  const lost: number[] = []
  const batch = new Batch<number>({
    ...options,
    async write() {
      tries += 1
      throw new Error('away')
    },
    onLost: (items) => lost.push(...items),
  })
  batch.add(1)
  await batch.flush()
  expect({ tries, lost }).toEqual({ tries: 3, lost: [1] })
})

describe('a batch that the database refuses for its content', () => {
  const outOfRange = () => Object.assign(new Error('integer out of range'), { code: '22003' })

  test.each([
    ['an error of the data', outOfRange],
    ['a broken rule of a table', () => Object.assign(new Error('check violated'), { code: '23514' })],
    ['a final error', () => new RekeyError('not_found', 'there is no such credential')],
    ['a mistake of the code', () => new TypeError('undefined is not a function')],
  ])('loses the one bad item only: %s', async (_what, fail) => {
    const writes: number[][] = []
    const lost: number[][] = []
    const batch = new Batch<number>({
      ...options,
      async write(items) {
        writes.push(items)
        if (items.includes(2)) throw fail()
      },
      onLost: (items) => void lost.push(items),
    })
    for (const n of [1, 2, 3]) batch.add(n)
    await batch.flush()
    // Not tried again as a whole: it would fail again.
    expect(writes).toEqual([[1, 2, 3], [1], [2], [3]])
    expect(lost).toEqual([[2]])
  })

  test('hands all that is left back when the database goes away meanwhile', async () => {
    const written: number[] = []
    const lost: number[][] = []
    const batch = new Batch<number>({
      ...options,
      async write(items) {
        if (items.length > 1) throw outOfRange()
        if (items[0] !== 1) throw new Error('away')
        written.push(...items)
      },
      onLost: (items) => void lost.push(items),
    })
    for (const n of [1, 2, 3]) batch.add(n)
    await batch.flush()
    expect({ written, lost }).toEqual({ written: [1], lost: [[2, 3]] })
  })
})
