import { randomUUID } from 'node:crypto'
import type { Bench } from './bench.ts'
import type { Journey } from './journeys.ts'
import { LATE_MS, Ongoing } from './ongoing.ts'
import { beforehand, isAway, type Outcome, outcomeOf } from './outcome.ts'
import { type Kill, type Passed, type Plan, readMarker, readPassed, writePlan } from './plan.ts'

export type Run = {
  outcome: Outcome
  /** What each process did, in its order. */
  passed: Record<string, Passed[]>
  /** Where each kill hit; undefined: the process never came there. */
  hits: (Passed | undefined)[]
}

/** How long after the end a process may still come to the point where it shall die. */
const AFTERWARDS_MS = 5_000

/** A node comes back once to a fleet that was started anew; two fleets may have been. */
const SETTLINGS_MAX = 3

/** One journey of the bench's credential, from its first word until nothing is left to do, with these kills. */
export async function run(bench: Bench, journey: Journey, kills: Kill[]): Promise<Run> {
  const { world, folder, stores, dead } = bench
  const { currentGeneration, generations } = await world.control.credential(world.credential)
  const old = await world.readers.vault()
  if (!old || currentGeneration === null) throw new Error('there is no value to begin with')
  const generation = Math.max(...generations.map((g) => g.generation)) + 1
  const ongoing = new Ongoing({ bench, generation, base: currentGeneration, old: old.value })
  const before = await beforehand(ongoing)
  const plan: Plan = {
    id: randomUUID(),
    credential: world.credential,
    generation,
    names: namesOf(bench),
    kills,
  }
  writePlan(folder, plan)
  try {
    await journey.begin(ongoing)
    const fresh = ongoing
      .until('the new value', () => ongoing.happened('ValueStaged'))
      .then(() => stores.vault.read(generation, { key: 'crash', signal: AbortSignal.timeout(5_000) }))
    const [made] = await Promise.all([
      fresh,
      journey.meanwhile?.(ongoing),
      world.ended(ongoing.rotation, LATE_MS),
    ])
    if (!made) throw new Error(`nobody could read the value of ${ongoing.rotation}`)
    dead.push(journey.ends === 'closed' ? old.value : made.value)

    const hits = () => kills.map((kill) => readMarker(folder, plan, kill.name))
    await ongoing
      .until('the kill', async () => hits().every((hit) => hit !== undefined), AFTERWARDS_MS)
      .catch(() => undefined)
    const settle = () => settled(ongoing, before.restarts, hits().filter((hit) => hit !== undefined).length)
    await settle()
    if (journey.clientsMayFail) await content(ongoing)
    const passed = Object.keys(bench.processes).map((name) => [name, readPassed(folder, plan, name)])
    let outcome = await outcomeOf(ongoing, journey, before)
    // Until a node is back at a fleet that was started again its last proof counts, and a new session begins with none;
    // one that takes its time is lost for a moment.
    for (let tries = 1; outcome.nodes.some(isAway) && tries < SETTLINGS_MAX; tries++) {
      await settle()
      outcome = await outcomeOf(ongoing, journey, before)
    }
    return { outcome, passed: Object.fromEntries(passed), hits: hits() }
  } finally {
    writePlan(folder, undefined)
  }
}

/** The dead are back, the nodes have proved again, and the auditor has told everything. */
async function settled(ongoing: Ongoing, restarts: Record<string, number>, killed: number): Promise<void> {
  const { processes, world, database } = ongoing.bench
  const ended = () =>
    Object.entries(processes).reduce((sum, [name, p]) => sum + p.restarts - (restarts[name] ?? 0), 0)
  await ongoing.until('a new process', async () => ended() >= killed)
  await Promise.all(Object.values(processes).map((process) => process.untilReady()))
  await ongoing.until("every node's proof", async () => {
    const { nodes } = await world.control.rotation(ongoing.rotation)
    return nodes.every((n) => n.state === 'live' && n.provedRevision === n.revision)
  })
  await ongoing.until('the audit', async () => {
    const { rowCount } = await database.query(`
      select 1 from journal left join audit_out using (position)
      where sent_at is null or (type = 'RevocationAnnounced' and settled_at is null) limit 1`)
    return rowCount === 0
  })
}

/** Every client has the new value: nobody was refused for a while in which all of them asked. */
async function content(ongoing: Ongoing): Promise<void> {
  const { tally } = ongoing.bench.clients
  const now = () => ({ failed: tally.failed + tally.streamsFailed, ok: tally.ok, streamsOk: tally.streamsOk })
  let since = now()
  await ongoing.until('an end of the refusals', async () => {
    const { failed, ok, streamsOk } = now()
    if (failed !== since.failed) since = now()
    return ok - since.ok > 20 && streamsOk - since.streamsOk > 3
  })
}

function namesOf({ world }: Bench): [string, string][] {
  const id = world.emitter.replace(/^e2e-/, '')
  return [
    ...world.gateways.map(({ url, name }): [string, string] => [`${url}/v1/models`, name.replace(id, 'n')]),
    [world.path, 'key'],
    [world.credential, 'key'],
    [`gw-${id}`, 'gw'],
    [id, 'n'],
  ]
}
