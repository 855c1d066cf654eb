import { describe, expect, test } from 'vitest'
import { type Knocker, type Rest, toTell } from './knock-entries.ts'

const HOUR = 3_600_000
const NOW = 1_000 * HOUR

const knocker = (n: number, over: Partial<Knocker> = {}): Knocker => ({
  generation: 1,
  address: `10.0.0.${n}`,
  requests: 1,
  nodes: ['n1'],
  firstAt: NOW - 1_000 + n,
  lastAt: NOW - 1_000 + n,
  told: null,
  ...over,
})
const quiet: Rest = { generation: 1, unlistedAt: null, told: null }
const told = (knockers: Knocker[], rest: Rest = quiet) =>
  toTell({ knockers, rests: [rest] }, NOW).map((t) => ({
    addresses: t.knockers.map((k) => k.address),
    isSum: t.isSum,
  }))

describe('knocks are journalled', () => {
  test('at once where somebody is new, and not again for the same requests', () => {
    expect(told([knocker(1)])).toEqual([{ addresses: ['10.0.0.1'], isSum: false }])
    expect(told([knocker(1, { told: { requests: 1, at: NOW - 5 } })])).toEqual([])
    expect(told([knocker(1, { told: { requests: 1, at: NOW - 2 * HOUR } })])).toEqual([])
  })

  test('as a count where they go on, an hour later', () => {
    expect(told([knocker(1, { requests: 9, told: { requests: 1, at: NOW - HOUR + 1 } })])).toEqual([])
    expect(told([knocker(1, { requests: 9, told: { requests: 1, at: NOW - HOUR } })])).toHaveLength(1)
  })

  test('twenty of a credential one by one, and the others as one sum, however many there are', () => {
    const all = Array.from({ length: 90 }, (_, n) => knocker(n))
    const entries = told(all)
    expect(entries).toHaveLength(21)
    expect(entries.at(-1)).toMatchObject({ isSum: true })
    expect(entries.at(-1)?.addresses).toHaveLength(70)
  })

  test('not at all beyond that, until the hour of the sum is over', () => {
    const lately = Array.from({ length: 20 }, (_, n) => knocker(n, { told: { requests: 1, at: NOW - 1 } }))
    const fresh = knocker(77)
    expect(told([...lately, fresh], { ...quiet, told: { at: NOW - 60_000 } })).toEqual([])
    expect(told([...lately, fresh], { ...quiet, told: { at: NOW - HOUR } })).toEqual([
      { addresses: ['10.0.0.77'], isSum: true },
    ])
  })

  test('of addresses that are not listed once an hour, and only where one was seen since', () => {
    const more = { ...quiet, unlistedAt: NOW - 10 }
    expect(told([], more)).toEqual([{ addresses: [], isSum: true }])
    expect(told([], { ...more, told: { at: NOW - 60_000 } })).toEqual([])
    expect(told([], { ...more, unlistedAt: NOW - 3 * HOUR, told: { at: NOW - 2 * HOUR } })).toEqual([])
  })
})
