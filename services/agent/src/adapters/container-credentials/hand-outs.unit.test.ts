import { expect, test } from 'vitest'
import { HandOuts } from './hand-outs.ts'

const TTL = 600_000
const GRAIN = TTL / 60

test('a generation is in use until the end that its last reader was told, and was last used then', () => {
  const given = new HandOuts(TTL)
  given.note(1, 0)
  given.note(1, 5 * GRAIN)
  given.note(2, 6 * GRAIN)
  expect(given.usage(7 * GRAIN)).toEqual([
    { generation: 1, inFlight: 2, lastUseAgeMs: 0, requests: 2 },
    { generation: 2, inFlight: 1, lastUseAgeMs: 0, requests: 1 },
  ])
  expect(given.usage(TTL)[0]).toEqual({ generation: 1, inFlight: 1, lastUseAgeMs: 0, requests: 2 })
  expect(given.usage(TTL + 5 * GRAIN - 1)[0]).toMatchObject({ inFlight: 1, lastUseAgeMs: 0 })
  expect(given.usage(TTL + 5 * GRAIN + 70)[0]).toEqual({
    generation: 1,
    inFlight: 0,
    lastUseAgeMs: 70,
    requests: 2,
  })
})

test('none ends before its time, whenever it was', () => {
  for (const at of [0, 1, GRAIN - 1, GRAIN + 1, 12_345.6]) {
    const given = new HandOuts(TTL)
    given.note(1, at)
    expect(given.usage(at + TTL - 0.001)[0]?.inFlight).toBe(1)
    expect(given.usage(at + TTL + GRAIN)[0]?.inFlight).toBe(0)
  }
})

test('a reader for each call is counted in few numbers, and old generations are forgotten', () => {
  const given = new HandOuts(TTL)
  for (let call = 0; call < 10_000; call += 1) given.note(1, call * 10)
  expect(given.usage(100_000)[0]).toMatchObject({ inFlight: 10_000, requests: 10_000 })
  for (let generation = 2; generation < 40; generation += 1) given.note(generation, 100_000)
  expect(given.usage(100_000).map(({ generation }) => generation)).toEqual(
    Array.from({ length: 16 }, (_, index) => 24 + index),
  )
})
