import { expect, test } from 'vitest'
import { Rate } from './rate.ts'

test('lets so many pass at once, says when the next may, and fills up again', () => {
  const rate = new Rate(3, 0)
  expect([0, 0, 0, 0].map((now) => rate.take(now))).toEqual([0, 0, 0, 20])
  expect(rate.take(10_000)).toBe(10)
  expect(rate.take(20_000)).toBe(0)
  expect(rate.take(20_000)).toBe(20)
  expect([1e9, 1e9, 1e9, 1e9].map((now) => rate.take(now))).toEqual([0, 0, 0, 20])
})
