import type { StackAddresses } from '@rekey/testing'
import { type Bench, startBench } from './bench.ts'
import type { Journey } from './journeys.ts'
import { type Kill, textOf } from './plan.ts'
import { type Run, run } from './run.ts'

export type Job = {
  journey: Journey
  kills: Kill[]
  /** In the table, in place of the first kill's point. */
  name?: string
  /** How many of the kills must come; all of them, if not said. */
  needed?: number
}
export type Done = Job & { ms: number } & ({ run: Run } | { fault: string })

/** AWS keeps at most 100 versions of a secret, and those of the last day in any case; a rollback makes up to three. */
const JOURNEYS_MAX = 25

/** Some benches side by side: most of a rotation is waiting, and the machine has time for another one meanwhile. */
export class Lanes {
  readonly #stack: StackAddresses
  readonly #inspect: (bench: Bench) => Promise<string[]>
  readonly #lanes: { bench: Bench | undefined; journeys: number }[] = []
  readonly #faults: string[] = []

  private constructor(stack: StackAddresses, inspect: (bench: Bench) => Promise<string[]>) {
    this.#stack = stack
    this.#inspect = inspect
  }

  /** `inspect` looks once more at all that happened on a bench, before it is closed. */
  static async start(
    stack: StackAddresses,
    count: number,
    inspect: (bench: Bench) => Promise<string[]>,
  ): Promise<Lanes> {
    const lanes = new Lanes(stack, inspect)
    for (let lane = 0; lane < count; lane++)
      lanes.#lanes.push({ bench: await startBench(stack), journeys: 0 })
    return lanes
  }

  /** Does the jobs in their order until all are done or the time is over. What `done` returns is done again. */
  async each(jobs: Job[], withinMs: number, done: (job: Done) => Job | undefined): Promise<void> {
    const waiting = [...jobs]
    const until = performance.now() + withinMs
    await Promise.all(
      this.#lanes.map(async (_, lane) => {
        for (let job = waiting.shift(); job && performance.now() < until; job = waiting.shift()) {
          const again = done(await this.#do(lane, job))
          if (again) waiting.push(again)
        }
      }),
    )
  }

  /** Closes every bench; returns what was found wrong on any of them. */
  async close(): Promise<string[]> {
    await Promise.all(this.#lanes.map((_, lane) => this.#retire(lane)))
    return this.#faults
  }

  async #do(lane: number, job: Job): Promise<Done> {
    const startedAt = performance.now()
    const ms = () => Math.round(performance.now() - startedAt)
    try {
      const bench = await this.#benchOf(lane)
      const done = await run(bench, job.journey, job.kills)
      return { ...job, ms: ms(), run: done }
    } catch (error) {
      const fault = [error instanceof Error ? error.message : String(error)]
      const broken = this.#lanes[lane]?.bench
      for (const service of new Set(job.kills.map((kill) => kill.service)))
        fault.push(tailOf(broken?.processes[service]?.spec.logFile))
      // What comes next shall not suffer from it.
      this.#lanes[lane] = { bench: undefined, journeys: 0 }
      await broken?.close().catch(() => undefined)
      return { ...job, ms: ms(), fault: fault.join('\n') }
    }
  }

  async #benchOf(lane: number): Promise<Bench> {
    if ((this.#lanes[lane]?.journeys ?? 0) >= JOURNEYS_MAX) await this.#retire(lane)
    const { bench, journeys } = this.#lanes[lane] ?? { bench: undefined, journeys: 0 }
    const used = bench ?? (await startBench(this.#stack))
    this.#lanes[lane] = { bench: used, journeys: journeys + 1 }
    return used
  }

  async #retire(lane: number): Promise<void> {
    const { bench } = this.#lanes[lane] ?? {}
    this.#lanes[lane] = { bench: undefined, journeys: 0 }
    if (!bench) return
    this.#faults.push(...(await this.#inspect(bench)))
    await bench.close()
  }
}

function tailOf(log: string | undefined): string {
  const lines = log === undefined ? undefined : textOf(log)?.trimEnd().split('\n').slice(-12)
  return lines?.map((line) => line.slice(0, 300)).join('\n') ?? ''
}
