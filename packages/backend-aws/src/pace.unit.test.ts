import { describe, expect, test } from 'vitest'
import { Pace } from './pace.ts'
import { RATES } from './quota.ts'

const rate = { perS: 10, burst: 4, reserve: 3 }
const pace = (random = 0.5) => new Pace(rate, () => random)

/** Takes a turn as soon as there is one, from `from` until `until`; returns when. */
function turns(of: Pace, isUrgent: boolean, { from = 0, until }: { from?: number; until: number }): number[] {
  const taken: number[] = []
  for (let now = from; now < until; ) {
    const waitMs = of.take(now, isUrgent)
    if (waitMs === 0) taken.push(now)
    now += waitMs
  }
  return taken
}

describe('the pace of routine work', () => {
  test('is the rate, over any length of time', () => {
    const taken = turns(pace(), false, { until: 10_000 })
    expect(taken.length).toBeGreaterThanOrEqual(100)
    expect(taken.length).toBeLessThanOrEqual(101)
  })

  test.each(['write', 'list'] as const)(
    'is nearly all of the rate of %s, though timers come late',
    (kind) => {
      const one = new Pace(RATES[kind])
      let taken = 0
      for (let now = 0; now < 10_000; ) {
        const waitMs = one.take(now, false)
        if (waitMs === 0) taken++
        else now += Math.ceil(waitMs) + 2
      }
      expect(taken).toBeGreaterThan(0.99 * 10 * RATES[kind].perS)
    },
  )

  test('puts no more into a second than the rate and the burst, also after a rest', () => {
    const one = pace()
    const taken = [
      ...turns(one, false, { until: 2_000 }),
      ...turns(one, false, { from: 60_000, until: 62_000 }),
    ]
    for (const start of taken)
      expect(taken.filter((at) => at >= start && at < start + 1_000).length).toBeLessThanOrEqual(14)
  })

  test('leaves the reserve, however long it goes on', () => {
    const one = pace()
    turns(one, false, { until: 4_950 })
    expect(one.take(4_950, false)).toBeGreaterThan(0)
    // An emergency has all of it at once.
    expect([1, 2, 3].map(() => one.take(4_950, true))).toEqual([0, 0, 0])
    expect(one.take(4_950, true)).toBeGreaterThan(0)
  })

  test('goes on only when the reserve is full again', () => {
    const one = pace()
    expect([1, 2, 3, 4].map(() => one.take(0, true))).toEqual([0, 0, 0, 0])
    expect(one.take(0, false)).toBeCloseTo(400)
    expect(one.take(400, false)).toBe(0)
  })
})

describe('when AWS asks for fewer calls', () => {
  test('nobody gets a turn for a while, and then at half the rate', () => {
    const one = pace()
    expect(one.take(0, true)).toBe(0)
    one.refused(10, 0)
    expect(one.take(10, true)).toBe(500)
    expect(one.take(10, false)).toBe(500)
    // Without a token, at half of ten a second.
    expect(one.take(510, true)).toBeCloseTo(200)
    expect(turns(one, true, { from: 510, until: 1_510 }).length).toBe(5)
  })

  test('what was under way together counts once', () => {
    const one = pace()
    expect([one.take(0, true), one.take(0, true)]).toEqual([0, 0])
    one.refused(10, 0)
    one.refused(20, 0)
    expect(one.take(20, true)).toBe(490)
  })

  test('waits twice as long each time, up to half a minute, until a call goes through', () => {
    const one = pace()
    const pauses: number[] = []
    let now = 0
    for (let i = 0; i < 8; i++) {
      while (one.take(now, true) > 0) now += one.take(now, true)
      one.refused(now + 1, now)
      pauses.push(Math.round(one.take(now + 1, true)))
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    now += 31_000
    while (one.take(now, true) > 0) now += one.take(now, true)
    one.passed(now)
    one.refused(now + 1, now)
    expect(one.take(now + 1, true)).toBeCloseTo(500)
  })

  test('a success of before the refusal says nothing', () => {
    const one = pace()
    one.take(0, true)
    one.take(0, true)
    one.refused(10, 0)
    one.passed(0)
    let now = 510
    while (one.take(now, true) > 0) now += one.take(now, true)
    one.refused(now + 1, now)
    expect(one.take(now + 1, true)).toBeCloseTo(1_000)
  })

  test('several that were refused together come back apart', () => {
    const [soon, late] = [pace(0), pace(1)]
    for (const one of [soon, late]) {
      one.take(0, true)
      one.refused(0, 0)
    }
    expect(soon.take(0, true)).toBe(375)
    expect(late.take(0, true)).toBe(625)
  })

  test('the whole rate is back after some quiet time', () => {
    const one = pace()
    one.take(0, true)
    one.refused(0, 0)
    turns(one, true, { from: 500, until: 15_000 })
    expect(turns(one, true, { from: 15_000, until: 16_000 }).length).toBeGreaterThanOrEqual(10)
  })
})
