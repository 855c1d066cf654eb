import { expect } from 'vitest'
import { Coverage, IMPOSSIBLE } from './coverage.ts'
import { minimise } from './minimise.ts'
import { outline, told } from './report.ts'
import { live } from './run.ts'
import { draw } from './scenario.ts'

/** Worlds in a day's test run, and in a long one. */
export const SEEDS = process.env.REKEY_DEEP === '1' ? 20_000 : 10_000

/** A test: no world breaks a promise, and what met what is printed. */
export async function keepsEveryPromise(from: number, count: number): Promise<void> {
  const { met, failure } = await liveMany(from, count)
  expect(failure, failure).toBeUndefined()
  process.stdout.write(`worlds ${from} to ${from + count - 1}\n${met.report()}\n`)
  // Faults that met nothing have shown nothing.
  expect(met.missing().filter((pair) => IMPOSSIBLE[pair] === undefined)).toEqual([])
}

/** Lives worlds through until one breaks a promise; that one is made as small as it gets, and told. */
async function liveMany(from: number, count: number): Promise<{ met: Coverage; failure?: string }> {
  const met = new Coverage()
  for (let seed = from; seed < from + count; seed++) {
    const run = await live(draw(seed))
    met.add(run.met)
    if (!run.violation) continue
    const { invariant, message } = run.violation
    const small = await minimise(draw(seed), invariant)
    const failure = [
      `seed ${seed}: ${message}`,
      '',
      'what is left of it when all that is not needed is left out:',
      ...outline(small.scenario),
      '',
      ...told(small.run, { all: false }),
      small.run.violation?.message ?? '',
      '',
      `node test/simulation/main.ts --seed ${seed} --trace`,
    ].join('\n')
    return { met, failure }
  }
  return { met }
}
