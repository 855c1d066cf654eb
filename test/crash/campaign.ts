import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import { type Target, targetsOf } from './choice.ts'
import type { Journey } from './journeys.ts'
import type { Done, Job, Lanes } from './lanes.ts'
import type { Outcome } from './outcome.ts'
import type { Kill } from './plan.ts'
import { Report, type Verdict } from './report.ts'
import type { Run } from './run.ts'

const GOLDEN_RUNS = 2
/** Fewer points than this mean that the acts are not seen any more, not that there are none. */
const POINTS_MIN = 200
/** Where more than this share of the chosen points does not come up, nothing is shown by the others. */
const NOT_REACHED_MAX = 0.1

/** What the undisturbed journeys leave behind, and every disturbed one compared with it. */
export class Campaign {
  readonly report = new Report()
  readonly #lanes: Lanes
  readonly #golden = new Map<Journey, { outcome: Outcome; targets: Target[] }>()

  constructor(lanes: Lanes) {
    this.#lanes = lanes
  }

  /** Runs each journey undisturbed, to see what it does and how it ends. */
  async begin(journeys: Journey[]): Promise<void> {
    const jobs = journeys.flatMap((journey) => Array<Job>(GOLDEN_RUNS).fill({ journey, kills: [] }))
    const all: { journey: Journey; run: Run }[] = []
    await this.#lanes.each(jobs, Number.POSITIVE_INFINITY, (done) => {
      if ('fault' in done) throw new Error(`an undisturbed ${done.journey.name} failed: ${done.fault}`)
      expectGood(done.journey, done.run.outcome)
      all.push({ journey: done.journey, run: done.run })
      return undefined
    })
    for (const journey of journeys) {
      const runs = all.filter((done) => done.journey === journey).map((done) => done.run)
      const [first] = runs
      if (!first) throw new Error(`${journey.name} has no undisturbed run`)
      const targets = targetsOf(runs.map((run) => run.passed))
      expect(targets.length, journey.name).toBeGreaterThan(POINTS_MIN)
      this.#golden.set(journey, { outcome: first.outcome, targets })
      const services = [...Map.groupBy(targets, ({ service }) => service)]
      const counts = services.map(([service, of]) => `${service} ${of.length}`).join(', ')
      this.report.note(`points of ${journey.name}, before and after: ${targets.length} (${counts})`)
    }
  }

  targets(journey: Journey): Target[] {
    return this.#goldenOf(journey).targets
  }

  /** Runs the jobs until all are done or the time is over; returns what was not as it should be. */
  async run(what: string, jobs: Job[], withinMs: number): Promise<string[]> {
    const faults: string[] = []
    const verdicts: Verdict[] = []
    const repeated = new Set<Kill[]>()
    const startedAt = performance.now()
    await this.#lanes.each(jobs, withinMs, (done) => {
      const { kills, needed = kills.length } = done
      const fault = this.#faultOf(done)
      const isReached = 'run' in done && deaths(done.run) >= needed
      if (!fault && !isReached && !repeated.has(kills)) {
        repeated.add(kills)
        return done
      }
      if (fault) faults.push(fault)
      const verdict = fault ? 'DIFFERS' : isReached ? 'same' : 'not reached'
      verdicts.push(verdict)
      this.#record(done, verdict)
      return undefined
    })
    const count = (verdict: Verdict) => verdicts.filter((v) => v === verdict).length
    const seconds = Math.round((performance.now() - startedAt) / 1_000)
    this.report.note(
      `${what}: ${verdicts.length} of ${jobs.length} in ${seconds} s; ${count('same')} same, ` +
        `${count('DIFFERS')} differ, ${count('not reached')} not reached`,
    )
    // A second death needs a first one that leaves it something to do: in a small sample two may well find nothing.
    const allowed = Math.max(2, verdicts.length * NOT_REACHED_MAX)
    if (count('not reached') > allowed || (verdicts.length > 0 && count('same') === 0))
      faults.push('too many points were not reached')
    return faults
  }

  #record(done: Done, verdict: Verdict): void {
    const [first, second] = done.kills
    if (!first || !('label' in first.at)) return
    const again = 'run' in done && second ? `, then before ${done.run.hits[1]?.label ?? 'nothing'}` : ''
    const { service, side } = first
    const label = done.name ?? first.at.label + again
    this.report.add({ service, side, label, journey: done.journey.name, verdict })
  }

  /** What is not as in the undisturbed run. */
  #faultOf(done: Done): string | undefined {
    const { journey, kills } = done
    const said = kills.map(({ service, side, at }) => `${service} killed ${side} ${JSON.stringify(at)}`)
    const where = `${journey.name}, ${said.join(', then ')}`
    if ('fault' in done) return `${where}: ${done.fault}`
    const { outcome } = done.run
    const killed = deaths(done.run)
    const ended = Object.fromEntries(killed > 0 ? kills.map(({ service }) => [service, killed]) : [])
    const expected = { ...this.#goldenOf(journey).outcome, ended }
    const seen = journey.clientsMayFail ? { ...outcome, clients: expected.clients } : outcome
    const differences = differencesOf(expected, seen)
    return differences.length === 0 ? undefined : `${where}: ${differences.join('; ')}`
  }

  #goldenOf(journey: Journey): { outcome: Outcome; targets: Target[] } {
    const found = this.#golden.get(journey)
    if (!found) throw new Error(`${journey.name} has no undisturbed run`)
    return found
  }
}

function deaths(run: Run): number {
  return run.hits.filter((hit) => hit !== undefined).length
}

function differencesOf(expected: Outcome, seen: Outcome): string[] {
  return (Object.keys(expected) as (keyof Outcome)[]).flatMap((key) => {
    const [wanted, got] = [expected[key], seen[key]]
    if (isDeepStrictEqual(wanted, got)) return []
    if (!Array.isArray(wanted) || !Array.isArray(got))
      return [`${key} is ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`]
    return [`${key} lacks ${rest(wanted, got)} and has ${rest(got, wanted)} too many`]
  })
}

/** What is left of `all` when each of `others` has taken one. */
function rest(all: unknown[], others: unknown[]): string {
  const left = [...all]
  for (const other of others) if (left.includes(other)) left.splice(left.indexOf(other), 1)
  return JSON.stringify(left)
}

/** Two equal outcomes may both be wrong, so the undisturbed one is held to what it should be. */
function expectGood(journey: Journey, outcome: Outcome): void {
  const [current, gone] = journey.ends === 'closed' ? ['new', 'old'] : ['old', 'new']
  expect(outcome, journey.name).toMatchObject({
    outcome: journey.ends,
    exceptions: journey.exceptions,
    hold: null,
    current: { vault: current, aws: current, same: true },
    generations: [`${current} active current`, `${gone} destroyed unlabelled`].sort(),
    knock: { current: outcome.knock.current.map(() => 200), deadAccepted: 0 },
    left: { effects: 0, rotations: 0, unaudited: 0, unsettled: 0 },
    ended: {},
    ...(!journey.clientsMayFail && { clients: { failed: 0, cut: 0 } }),
  })
}
