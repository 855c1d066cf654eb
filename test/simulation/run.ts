import { Coverage } from './coverage.ts'
import type { Noted } from './ground.ts'
import { Inspector } from './inspector/inspector.ts'
import { Violation } from './inspector/violation.ts'
import type { Scenario } from './scenario.ts'
import { World, type WorldOptions } from './world.ts'

/** After the storm: long enough for every deadline, pause and human. */
const QUIET_MS = 600_000
const STEPS_MAX = 200_000

export type Run = {
  seed: number
  /** Absent: every promise was kept. */
  violation?: Violation
  steps: number
  /** Simulated time. */
  endedAt: number
  noted: Noted[]
  outcomes: string[]
  met: Coverage
  journal: World['ledger']['tables']['journal']
}

/** Lives one world through, to its end or to the first promise that it breaks. */
export async function live(scenario: Scenario, options: WorldOptions = {}): Promise<Run> {
  const world = new World(scenario, options)
  const { ground } = world
  const met = new Coverage()
  ground.onStrike = (fault, effect, point) => {
    for (const step of stepsOf(world, world.places.keys())) met.note(fault, step)
    if (effect !== undefined) met.note(point === undefined ? fault : `${fault}:${point}`, effect)
  }
  ground.onPause = (moment, credential) => {
    const at = stepsOf(world, [credential])
    return () => {
      for (const step of at) met.note(moment, step)
    }
  }
  let steps = 0
  let violation: Violation | undefined
  try {
    await world.begin()
    const inspector = new Inspector(world)
    const endsAt = ground.healsAt + QUIET_MS
    while (!world.isDone && ground.now < endsAt && steps < STEPS_MAX) {
      const item = ground.agenda.take()
      if (!item) break
      steps++
      const done = item.run()
      if (done) await done
      world.fail()
      world.tellSteps()
      inspector.afterStep()
    }
    checkEnd(world)
    inspector.atEnd()
  } catch (error) {
    violation = error instanceof Violation ? error : new Violation('crash', trace(error))
  }
  const outcomes = [...world.ledger.tables.rotations.all()].map(({ state }) => state.outcome ?? 'open')
  const { noted, now } = ground
  const { journal } = world.ledger.tables
  return {
    seed: scenario.seed,
    journal,
    steps,
    endedAt: now,
    noted,
    outcomes,
    met,
    ...(violation && { violation }),
  }
}

/** I7: every rotation ended, and every event has its one verdict. */
function checkEnd(world: World): void {
  for (const credential of world.places.keys()) {
    const { rotation } = world.see(credential)
    if (!rotation) continue
    if (world.isAlone(credential)) continue
    const why = rotation.holds.map((h) => `${h.reason} ${h.about}: ${h.detail}`).join('; ')
    throw new Violation('I7', `${rotation.id} does not end: ${why || 'and nobody was told why'}`)
  }
  const judged = world.ledger.tables.journal.filter((e) => e.type === 'EventJudged')
  const ids = new Set(world.intake.topic.map((record) => record.id))
  for (const id of ids) {
    const verdicts = judged.filter((entry) => entry.data.id === id).length
    if (verdicts !== 1) throw new Violation('I7', `event ${id} has ${verdicts} verdicts`)
  }
}

/** Where the open rotations of these credentials are, for the table of what met what. */
function stepsOf(world: World, credentials: Iterable<string>): string[] {
  const steps: string[] = []
  for (const credential of credentials) {
    const { rotation } = world.see(credential)
    if (rotation?.successor) steps.push(rotation.successor.step)
    for (const { step } of rotation?.retirements ?? []) if (step !== 'dead') steps.push(step)
  }
  return steps
}

function trace(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
