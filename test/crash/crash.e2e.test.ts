import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { auditFaults } from './audit-topic.ts'
import { Campaign } from './campaign.ts'
import { oneOfEachKind, shuffled, type Target } from './choice.ts'
import { JOURNEYS, type Journey } from './journeys.ts'
import { type Job, Lanes } from './lanes.ts'
import { accepted } from './outcome.ts'
import type { Kill } from './plan.ts'

/**
 * Every process may die at every durable write and every outside call, before it and after it, and each journey ends
 * as if nobody had died. The real processes are killed on the real servers, while clients never stop asking.
 *
 * Normally one point of every third kind is tried, always the same. With REKEY_DEEP=1 it is as many of all points as the time
 * allows, in an order that REKEY_SEED repeats. REKEY_CRASH_ONLY='rotate rotator after vault POST' tries
 * those that fit.
 */
const { REKEY_DEEP, REKEY_SEED, REKEY_CRASH_ONLY } = process.env
const DEEP = REKEY_DEEP === '1'
const SEED = Number(REKEY_SEED ?? Date.now() % 1_000_000)
const ONLY = REKEY_CRASH_ONLY === undefined ? undefined : new RegExp(REKEY_CRASH_ONLY)
const LANES = DEEP ? 3 : 2
const KILLS_MS = (DEEP ? 12 : 6) * 60_000
const AGAIN_MS = 120_000
const SECOND_KILLS = DEEP ? 60 : 4
/** After how many points a process that was started in place of a dead one dies too. */
const SECOND_AT = DEEP ? [1, 2, 3, 5, 8, 13] : [1, 2]
const DEATHS = DEEP ? 8 : 4

let lanes: Lanes
let campaign: Campaign

beforeAll(async () => {
  lanes = await Lanes.start(inject('stack'), LANES, async (bench) => {
    const dead = await accepted(bench, bench.dead)
    return [...(dead === 0 ? [] : [`${dead} times a dead value is accepted`]), ...(await auditFaults(bench))]
  })
  campaign = new Campaign(lanes)
  await campaign.begin(JOURNEYS)
  if (DEEP) campaign.report.note(`REKEY_SEED=${SEED}`)
})
afterAll(async () => {
  process.stdout.write(`${campaign?.report ?? ''}\n`)
  await lanes?.close()
})

describe.each(JOURNEYS)('$name', (journey) => {
  test('ends the same, whoever dies where', { timeout: KILLS_MS + 120_000 }, async () => {
    const jobs = chosen(journey).map((target): Job => ({ journey, kills: [kill(target)] }))
    expect(await campaign.run(journey.name, jobs, KILLS_MS / JOURNEYS.length)).toEqual([])
  })
})

test('each journey ends the same, when what was started in place of the dead dies too', async () => {
  const jobs = JOURNEYS.flatMap((journey) =>
    chosen(journey).map((target, index): Job => {
      const { service } = target
      const nth = SECOND_AT[index % SECOND_AT.length] ?? 1
      const second: Kill = { name: 'second', follows: 'first', service, side: 'before', at: { nth } }
      // So many points may not be left to a process that died late.
      return { journey, kills: [kill(target), second], needed: DEEP ? 1 : 2 }
    }),
  )
  const some = jobs.filter((_, index) => index % Math.ceil(jobs.length / SECOND_KILLS) === 0)
  expect(await campaign.run('two deaths', ONLY ? jobs : some, AGAIN_MS)).toEqual([])
})

test('each journey ends the same, when one service dies again and again', async () => {
  const jobs = JOURNEYS.flatMap((journey, turn) => {
    const services = Map.groupBy(campaign.targets(journey), ({ service }) => service)
    // The journeys take turns with the services; in one journey a service dies at many points, at each of them once.
    return [...services].flatMap(([service, of], index): Job[] => {
      if (!DEEP && index % JOURNEYS.length !== turn) return []
      const points = of.filter((target) => target.occurrence === 1 && target.side === 'before')
      const some = points.filter((_, n) => n % Math.ceil(points.length / DEATHS) === 0)
      const kills = some.map((target, n) => kill(target, `death-${n}`))
      return [
        { journey, kills, name: `${service} ${kills.length} times`, needed: Math.ceil(kills.length / 2) },
      ]
    })
  })
  expect(await campaign.run('many deaths', ONLY ? [] : jobs, AGAIN_MS)).toEqual([])
})

test('no value that ever died is accepted, and the audit topic has every record byte for byte', async () => {
  expect(await lanes.close()).toEqual([])
})

/** One of every third kind, shared by the journeys; or all of them; or those that are asked for. */
function chosen(journey: Journey): Target[] {
  const all = JOURNEYS.map((of) => ({ journey: of, targets: campaign.targets(of) }))
  const own = campaign.targets(journey)
  if (ONLY)
    return own.filter(({ service, side, label }) => ONLY.test(`${journey.name} ${service} ${side} ${label}`))
  if (DEEP) return shuffled(own, SEED)
  return (oneOfEachKind(all).get(journey) ?? []).filter((_, index) => index % 3 === 0)
}

function kill({ service, label, occurrence, side }: Target, name = 'first'): Kill {
  return { name, service, side, at: { label, occurrence } }
}
