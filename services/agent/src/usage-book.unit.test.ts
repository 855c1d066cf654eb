import { expect, test } from 'vitest'
import { UsageBook } from './usage-book.ts'

const reading = (generation: number, requests: number, lastUseAgeMs: number | null, inFlight = 0) => ({
  generation,
  inFlight,
  lastUseAgeMs,
  requests,
})

test('a generation that came in while counting ran was never used before its first use', () => {
  const book = new UsageBook()
  book.given([2], 100_000, false)
  expect(book.merge([], 110_000, 60_000)).toEqual([reading(2, 0, null)])
  expect(book.merge([reading(2, 4, 500)], 120_000, 70_000)).toEqual([reading(2, 4, 500)])
})

test('a generation from before this agent, without a row, may have been used just before counting began', () => {
  const book = new UsageBook()
  book.given([1], 100_000, true)
  expect(book.merge([], 100_000, 7_000)).toEqual([reading(1, 0, 7_000)])
})

test('a restart of the gateway loses neither the requests nor the last use', () => {
  const book = new UsageBook()
  book.given([1], 0, false)
  book.merge([reading(1, 40, 100)], 10_000, 9_000)
  // Restarted at 14,000: no row yet, and what happened between 10,000 and 14,000 is not known.
  expect(book.merge([], 15_000, 1_000)).toEqual([reading(1, 40, 1_000)])
  expect(book.merge([reading(1, 2, 300)], 16_000, 2_000)).toEqual([reading(1, 42, 300)])
})

test('failures are counted on over a restart, and not spoken of where nobody counts them', () => {
  const book = new UsageBook()
  const failing = (requests: number, failures: number) => ({ ...reading(1, requests, 100), failures })
  book.merge([failing(40, 3)], 10_000, 9_000)
  book.merge([], 15_000, 1_000)
  expect(book.merge([failing(2, 1)], 16_000, 2_000)).toEqual([{ ...reading(1, 42, 100), failures: 4 }])
  expect(new UsageBook().merge([reading(1, 2, 100)], 0, undefined)[0]).not.toHaveProperty('failures')
})

test('a request in flight is a use now, however long ago it began', () => {
  const book = new UsageBook()
  book.merge([reading(1, 1, 60_000, 1)], 100_000, 90_000)
  expect(book.merge([reading(1, 1, 61_000)], 101_000, 91_000)).toEqual([reading(1, 1, 1_000)])
})

test('the coarse clock of uptime is no restart', () => {
  const book = new UsageBook()
  book.given([1], 5_000, false)
  book.merge([], 10_000, 9_000)
  expect(book.merge([], 10_900, 9_000)).toEqual([reading(1, 0, null)])
})

test('says no age that the fleet refuses, however long ago the last use was', () => {
  const book = new UsageBook()
  const year = 366 * 86_400_000
  expect(book.merge([reading(1, 5, 2 * year)], 3 * year, undefined)).toMatchObject([{ lastUseAgeMs: year }])
})
