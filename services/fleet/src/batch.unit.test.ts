import { expect, test } from 'vitest'
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
