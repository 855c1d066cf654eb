import { expect, test } from 'vitest'
import { Series } from './series.ts'

test('a series knows its middle and its ends, and grows past its first size', () => {
  const series = new Series()
  const count = 100_000
  for (let i = count; i > 0; i--) series.add(i)
  expect(series.summary()).toEqual({ count, p50: 50_001, p99: 99_001, p999: 99_901, max: count })
})
