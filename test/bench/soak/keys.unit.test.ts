import { expect, test } from 'vitest'
import { KeptKey } from './keys.ts'

const read = (generation: number) => ({ value: `value-${generation}`, generation })
const presented = (key: KeptKey) =>
  new Promise<number>((resolve) => key.use(({ generation }) => resolve(generation)))

test('a key that was read in time is presented at once', async () => {
  const key = new KeptKey(async () => read(1), 60_000, 60_000)
  const keeping = key.keep()
  expect(await presented(key)).toBe(1)
  let now = 0
  key.use(({ generation }) => {
    now = generation
  })
  expect(now).toBe(1)
  expect(key.waits).toBe(1)
  key.stop()
  void keeping
})

test('a key that is too old is not presented: what is due waits for the store', async () => {
  const answers = [
    Promise.withResolvers<ReturnType<typeof read>>(),
    Promise.withResolvers<ReturnType<typeof read>>(),
  ]
  let asked = 0
  const key = new KeptKey(() => answers[asked++]?.promise ?? Promise.reject(new Error('over')), 0, 0)
  const keeping = key.keep()
  answers[0]?.resolve(read(1))
  const later = presented(key)
  expect(await later).toBe(1)
  const next = presented(key)
  answers[1]?.resolve(read(2))
  expect(await next).toBe(2)
  key.stop()
  await keeping
})
