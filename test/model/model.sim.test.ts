import { describe, expect, test } from 'vitest'
import { BOUNDED, DEEP, GOALS, MUTATIONS, REFUTED } from './runs.ts'
import { check } from './spin.ts'

const runs = process.env.REKEY_DEEP === '1' ? [...BOUNDED, ...DEEP] : BOUNDED

describe('every state of a small world', () => {
  test.each(runs)('$model: $name', async (run) => {
    const { found, states } = await check(run)
    expect(found).toBeUndefined()
    expect(states).toBeGreaterThan(100)
  })

  test.each(GOALS)('has one in which it ended well: $name', async (run) => {
    const { found } = await check(run)
    expect(found?.what).toBe('goal')
    expect(found?.trail.length).toBeGreaterThan(5)
  })
})

describe('a rule that is switched off', () => {
  test.each(MUTATIONS)('$model: $rule ($breaks)', async (mutation) => {
    expect((await check(mutation)).found?.what).toBe(mutation.breaks)
  })
})

describe('a reading of the rules that is wrong', () => {
  test.each(REFUTED)('$model: $rule ($breaks)', async (reading) => {
    expect((await check(reading)).found?.what).toBe(reading.breaks)
  })
})
