import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Pace } from './pace.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function setUp(max: number) {
  const pace = new Pace(max, 1_000)
  const told: string[] = []
  const offer = (key: string, what = key) =>
    pace.offer(key, () => {
      told.push(what)
      return true
    })
  return { pace, told, offer }
}

test('so many are told at once, and the next ones in their turn as others answer', () => {
  const { pace, told, offer } = setUp(2)
  for (const key of ['a', 'b', 'c', 'd']) offer(key)
  expect(told).toEqual(['a', 'b'])
  pace.free('b')
  expect(told).toEqual(['a', 'b', 'c'])
  pace.free('a')
  pace.free('c')
  expect(told).toEqual(['a', 'b', 'c', 'd'])
})

test('what waits is replaced by what is newer, and told once', () => {
  const { pace, told, offer } = setUp(1)
  offer('a')
  offer('b', 'b of revision 1')
  offer('b', 'b of revision 2')
  pace.free('a')
  pace.free('b')
  expect(told).toEqual(['a', 'b of revision 2'])
})

test('one that reads is told the news at once, though there is no room', () => {
  const { told, offer } = setUp(1)
  offer('a')
  offer('a', 'the news')
  expect(told).toEqual(['a', 'the news'])
})

test('one that is silent gives its room away', () => {
  const { told, offer } = setUp(1)
  offer('silent')
  offer('b')
  vi.advanceTimersByTime(999)
  expect(told).toEqual(['silent'])
  vi.advanceTimersByTime(1)
  expect(told).toEqual(['silent', 'b'])
})

test('what needs not be told takes no room, and one that is gone is not told', () => {
  const { pace, told, offer } = setUp(1)
  offer('a')
  pace.offer('overtaken', () => false)
  offer('gone')
  offer('b')
  pace.free('gone')
  pace.free('a')
  expect(told).toEqual(['a', 'b'])
})

test('a store that struggles is asked less, down to a least, and more again as it answers', () => {
  const { pace, told, offer } = setUp(100)
  const tellAll = () => {
    for (let at = 0; at < 1_000; at++) offer(`n${at}`)
  }
  tellAll()
  expect(told).toHaveLength(100)
  // One moment's trouble, told by many.
  for (let at = 0; at < 50; at++) pace.struggled()
  for (const key of told.slice(0, 40)) pace.free(key)
  // 60 are reading, 70 may.
  expect(told).toHaveLength(110)
  for (let more = 0; more < 20; more++) {
    vi.advanceTimersByTime(1_000)
    pace.struggled()
  }
  const before = told.length
  vi.advanceTimersByTime(1_000)
  // Those who were told have been silent meanwhile.
  expect(told.length - before).toBeLessThanOrEqual(16)
  while (told.length < 1_000) pace.answered(told[told.length - 1] ?? '')
  expect(told).toHaveLength(1_000)
})
