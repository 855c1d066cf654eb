import { expect, test } from 'vitest'
import { Together } from './together.ts'

/** Items are answered in capitals when `answer` is called; `runs` are what was run together. */
function opened(most = 10) {
  const runs: string[][] = []
  let answer = () => {}
  let fails = (_items: string[]) => false
  const together = new Together<string, string>({
    most,
    keyOf: (item) => item.slice(0, 1),
    run: async (items) => {
      runs.push(items)
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      if (fails(items)) throw new Error(`cannot run ${items}`)
      return items.map((item) => (item.endsWith('!') ? new Error(item) : item.toUpperCase()))
    },
  })
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    together,
    runs,
    failWhere(is: (items: string[]) => boolean) {
      fails = is
    },
    async answer() {
      await settle()
      answer()
      await settle()
    },
  }
}

test('what comes alone is run at once, and what comes meanwhile together', async () => {
  const { together, runs, answer } = opened(2)
  const all = Promise.all(['a', 'b', 'c', 'd'].map((item) => together.add(item)))
  for (let n = 0; n < 3; n += 1) await answer()
  expect(await all).toEqual(['A', 'B', 'C', 'D'])
  expect(runs).toEqual([['a'], ['b', 'c'], ['d']])
})

test('two of one key are run one after the other, in their order', async () => {
  const { together, runs, answer } = opened()
  const all = Promise.all(['x', 'a1', 'a2', 'b', 'a3'].map((item) => together.add(item)))
  for (let n = 0; n < 4; n += 1) await answer()
  await all
  expect(runs).toEqual([['x'], ['a1', 'b'], ['a2'], ['a3']])
})

test('an error of one is its own', async () => {
  const { together, answer } = opened()
  const all = Promise.allSettled(['x', 'a!', 'b'].map((item) => together.add(item)))
  for (let n = 0; n < 2; n += 1) await answer()
  expect((await all).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('where all of them fail each is run alone, and those behind them go on', async () => {
  const { together, runs, answer, failWhere } = opened()
  failWhere((items) => items.includes('bad'))
  const all = Promise.allSettled(['x', 'bad', 'c'].map((item) => together.add(item)))
  for (let n = 0; n < 4; n += 1) await answer()
  expect((await all).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(runs).toEqual([['x'], ['bad', 'c'], ['bad'], ['c']])
  const late = together.add('z')
  await answer()
  expect(await late).toBe('Z')
})
