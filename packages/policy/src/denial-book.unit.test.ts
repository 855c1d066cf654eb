import { expect, test } from 'vitest'
import { type Denial, denialBook } from './denial-book.ts'

const denial = (who = 'eve', about = 'key'): Denial => ({
  actor: `oidc/${who}`,
  principal: { type: 'User', id: who },
  action: 'contain',
  resource: { type: 'Credential', id: about },
  policies: [],
  errors: [],
  digest: 'd',
})
const limits = { windowMs: 60_000, perActor: 3, inAll: 5 }

test('the first is written at once, and its repeats as one count for each window', () => {
  const book = denialBook(limits)
  expect(book.note(denial(), 'eve', 0)).toEqual([{ denial: denial(), times: 1 }])
  for (let at = 1; at < 60_000; at += 100) expect(book.note(denial(), 'eve', at)).toEqual([])
  expect(book.due(59_999)).toEqual([])
  expect(book.due(60_000)).toEqual([{ denial: denial(), times: 600 }])
  // It goes on: no second "first" in the next window.
  expect(book.note(denial(), 'eve', 61_000)).toEqual([])
  expect(book.due(120_000)).toEqual([{ denial: denial(), times: 1 }])
  // It stopped for a window, and comes again.
  expect(book.due(180_000)).toEqual([])
  expect(book.note(denial(), 'eve', 200_000)).toEqual([{ denial: denial(), times: 1 }])
})

test('a window that ended is settled by the next refusal, too', () => {
  const book = denialBook(limits)
  book.note(denial(), 'eve', 0)
  book.note(denial(), 'eve', 1)
  const other = denial('mal')
  expect(book.note(other, 'mal', 90_000)).toEqual([
    { denial: denial(), times: 1 },
    { denial: other, times: 1 },
  ])
})

test('one actor that tries everything is cut off, and others are still seen', () => {
  const book = denialBook(limits)
  const tries = Array.from({ length: 100 }, (_, n) => book.note(denial('eve', `key-${n}`), 'eve', n))
  expect(tries.flat()).toHaveLength(3)
  expect(book.note(denial('mal'), 'mal', 200)).toHaveLength(1)
  expect(book.due(60_000)).toEqual([{ denial: undefined, times: 97 }])
})

test('what is left at the end of the process is written, and nothing twice', () => {
  const book = denialBook(limits)
  book.note(denial(), 'eve', 0)
  book.note(denial(), 'eve', 1)
  expect(book.due(2, true)).toEqual([{ denial: denial(), times: 1 }])
  expect(book.due(3, true)).toEqual([])
})

test('a day of a flood from everywhere is bounded, and counts every refusal', () => {
  const book = denialBook(limits)
  let written = 0
  let counted = 0
  let asked = 0
  const count = (tallies: { times: number }[]) => {
    written += tallies.length
    for (const { times } of tallies) counted += times
  }
  for (let at = 0; at < 86_400_000; at += 997) {
    const who = `user-${(asked * 7919) % 1_000}`
    count(book.note(denial(who, `key-${asked % 13}`), who, at))
    asked++
  }
  count(book.due(86_400_000, true))
  expect(counted).toBe(asked)
  expect(written).toBeLessThanOrEqual(1_441 * (2 * limits.inAll + 1))
})
