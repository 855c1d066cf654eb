import { expect, test } from 'vitest'
import { vigil } from './vigil.ts'

/** Places that refuse from a moment on; each answer takes a moment. */
function played(refusesAt: number[]) {
  let now = 0
  let knocks = 0
  return {
    ask: async (places: number[]) => {
      now++
      knocks += places.length
      return places.map((place) => ({ accepted: now < (refusesAt[place] ?? 0), at: now }))
    },
    pause: async (ms: number) => {
      now += ms
    },
    knocks: () => knocks,
  }
}

test('sees the first place refuse, and the last', async () => {
  const world = played([100, ...Array.from({ length: 998 }, (_, n) => 200 + Math.floor(n / 10)), 400])
  const { first, last, knocks } = await vigil(1_000, world.ask, world.pause)
  expect(first).toBeGreaterThanOrEqual(100)
  expect(first).toBeLessThan(110)
  expect(last).toBeGreaterThanOrEqual(400)
  expect(last).toBeLessThan(410)
  expect(knocks).toBe(world.knocks())
})

test('asks few while all accept', async () => {
  const world = played(new Array(1_000).fill(500))
  await vigil(1_000, world.ask, world.pause)
  // A hundred looks at eight of them, then everybody, and everybody once more.
  expect(world.knocks()).toBeLessThan(100 * 8 + 2 * 1_000 + 50)
})

test('does not take a place for dead that accepts again', async () => {
  let turn = 0
  const ask = async (places: number[]) => places.map(() => ({ accepted: turn++ > 2, at: turn }))
  await expect(vigil(3, ask, async () => undefined)).rejects.toThrow('3 of 3 places')
})
