import { expect, test } from 'vitest'
import { IMPOSSIBLE } from './coverage.ts'
import { liveMany, SEEDS } from './many.ts'

test('every promise is kept in every world, second half', async () => {
  const { met, failure } = await liveMany(1 + SEEDS / 2, SEEDS / 2)
  expect(failure, failure).toBeUndefined()
  // Faults that met nothing have shown nothing.
  expect(met.missing().filter((pair) => IMPOSSIBLE[pair] === undefined)).toEqual([])
})
