import { Coverage } from './coverage.ts'
import { minimise } from './minimise.ts'
import { outline, told } from './report.ts'
import { live } from './run.ts'
import { draw } from './scenario.ts'

/** Worlds in a day's test run, and in a long one. */
export const SEEDS = process.env.REKEY_DEEP === '1' ? 100_000 : 10_000

/** Seeds that break a promise in a way that is stated elsewhere, each with where. */
export const KNOWN: ReadonlyMap<number, string> = new Map()

/** Lives worlds through until one breaks a promise; that one is made as small as it gets, and told. */
export async function liveMany(from: number, count: number): Promise<{ met: Coverage; failure?: string }> {
  const met = new Coverage()
  for (let seed = from; seed < from + count; seed++) {
    if (KNOWN.has(seed)) continue
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
