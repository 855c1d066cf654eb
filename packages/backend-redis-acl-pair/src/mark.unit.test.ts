import { expect, test } from 'vitest'
import { FRESH_MARK, isMark, type Mark, markIn, markOf } from './mark.ts'

const MARK: Mark = {
  state: 'installed',
  generation: 70_000,
  endedThrough: 69_998,
  digestStart: 'ab'.repeat(8),
}

test('a mark is what Redis takes for the digest of a password, and is read as it was written', () => {
  for (const state of ['free', 'reserved', 'installed', 'suspended', 'revoked'] as const) {
    const text = markOf('shop_a', { ...MARK, state })
    expect(text).toMatch(/^[0-9a-f]{64}$/)
    expect(isMark(text)).toBe(true)
    expect(markIn('shop_a', text)).toEqual({ ...MARK, state })
  }
})

test('a mark is of one user, but the fresh one', () => {
  expect(markIn('shop_b', markOf('shop_a', MARK))).toBeUndefined()
  expect(FRESH_MARK).toMatch(/^[0-9a-f]{64}$/)
  expect(markIn('shop_a', FRESH_MARK)).toMatchObject({ state: 'free', generation: 0, endedThrough: 0 })
})

test('a digest is no mark, nor is one of a state that there is not', () => {
  expect(isMark('ab'.repeat(32))).toBe(false)
  expect(markIn('shop_a', markOf('shop_a', MARK).replace(/^(.{12})02/, '$109'))).toBeUndefined()
})
