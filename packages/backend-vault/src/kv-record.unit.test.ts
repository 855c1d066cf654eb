import { expect, test } from 'vitest'
import { generationOf, generationsFrom, generationsText } from './kv-record.ts'

test('reads back the hint that it wrote', () => {
  const known = new Map([
    [5, 3],
    [6, 4],
  ])
  expect(generationsFrom(generationsText(known))).toEqual(known)
})

test('keeps the hint within what Vault takes, by dropping the oldest', () => {
  const many = new Map(Array.from({ length: 500 }, (_, n) => [n + 100_000, n + 1_000_000]))
  const text = generationsText(many)
  expect(text.length).toBeLessThanOrEqual(512)
  expect(generationsFrom(text).get(100_499)).toBe(1_000_499)
})

test.each(['', 'nonsense', '1=', '=1', '1=2=3', 'x=y', '-1=2', undefined])(
  'takes nothing from the hint %j',
  (hint) => {
    expect(generationsFrom(hint).size).toBe(0)
  },
)

test.each([
  [{ value: 'v', key_id: 'k', generation: '1' }],
  [{ value: 'v', key_id: 'k', generation: 1.5 }],
  [{ value: 'v', generation: 1 }],
  [{ password: 'x' }],
])('sees that %j is not ours', (data) => {
  expect(generationOf({ version: 1, data })).toBeUndefined()
})
