import type { Figure } from '../report.ts'
import { digits } from '../statistics.ts'
import { isCutByKill, KILLS } from './kills.ts'
import type { Phase } from './load.ts'
import { CLIENTS, type SoakOptions, type SoakSeen, STREAM_MS, STREAMS } from './soak.ts'

/** One promise, and what was seen of it. */
export type Promised = { name: string; ok: boolean; seen: string }

type Asked = Pick<SoakOptions, 'requests' | 'rate' | 'rollovers' | 'seed'>

const REFUSED = 401
/** What the load may stay below what was asked for: the clients run on the same machine. */
const RATE_SHARE = 0.95
const many = (count: number) => count.toLocaleString('en')

export function judge({ requests, rate, rollovers }: Asked, seen: SoakSeen): Promised[] {
  const { phases, streams } = seen.load
  const all = Object.values(phases)
  const failed = all.reduce((sum, phase) => sum + phase.failed, 0)
  const answered = (phases.rollover?.count ?? 0) + (phases.between?.count ?? 0)
  const borne =
    ((phases.rollover?.answered ?? 0) + (phases.between?.answered ?? 0)) /
    ((phases.rollover?.seconds ?? 0) + (phases.between?.seconds ?? 0))
  const closed = seen.rollovers.filter(({ outcome }) => outcome === 'closed').length
  const refused = seen.rollovers.filter(
    ({ old }) => old.length > 0 && old.every(({ status }) => status === REFUSED),
  ).length
  const otherwise = streams.cuts.filter((cut) => !isCutByKill(cut, seen.killed)).length
  return [
    { name: 'no request failed', ok: failed === 0 && answered > 0, seen: `${many(failed)} failed` },
    { name: 'as many were answered as asked for', ok: answered >= requests, seen: many(answered) },
    { name: 'the rate was held', ok: borne >= RATE_SHARE * rate, seen: `${digits(borne)} a second` },
    {
      name: 'every rollover closed',
      ok: closed === rollovers,
      seen: `${closed} of ${rollovers}`,
    },
    {
      name: 'each gateway refused each old key',
      ok: refused === rollovers,
      seen: `${refused} of ${rollovers}`,
    },
    {
      name: 'no stream was cut but by the death of its gateway',
      ok: otherwise === 0 && streams.whole > 0,
      seen: `${otherwise} cut otherwise`,
    },
  ]
}

export function figureOf(asked: Asked, seen: SoakSeen, promises: Promised[]): Figure {
  return {
    name: 'soak',
    floor:
      'the same clients, gateways and services in the same run, while nothing is rotated and nothing is killed',
    tables: [requestsTable(seen), happenedTable(asked, seen), promisesTable(promises)],
    notes: [
      `${asked.rate} requests a second were due at fixed times, and are timed from when they were due; ${CLIENTS} clients with a key each; seed ${asked.seed}`,
      `a request carries an idempotency key: one whose gateway died before it answered was sent to the other one by the balancer. Streams are sent once`,
      ...seen.load.failures.map(
        ({ phase, seen: what, generation }) => `failed (${phase}, generation ${generation}): ${what}`,
      ),
    ],
  }
}

function requestsTable({ load }: SoakSeen) {
  const floor = load.phases.floor
  const row = (title: string, phase: Phase) => {
    const of = load.phases[phase]
    if (!of) return []
    const latencies = [of.p50, of.p99, of.p999, of.max]
    const ratio = (ours: number, its: number | undefined) =>
      phase === 'floor' || its === undefined ? '' : digits(ours / its)
    return [
      [
        title,
        many(of.count),
        String(of.failed),
        many(of.again),
        digits(of.answered / of.seconds),
        ...latencies.map(digits),
        ratio(of.p50, floor?.p50),
        ratio(of.p99, floor?.p99),
      ],
    ]
  }
  return {
    title: 'requests, milliseconds from when they were due until they were answered',
    columns: [
      'when',
      'requests',
      'failed',
      'at a second try',
      'requests/s',
      'p50',
      'p99',
      'p99.9',
      'max',
      'p50 ÷ floor',
      'p99 ÷ floor',
    ],
    rows: [
      ...row('within a rollover', 'rollover'),
      ...row('between rollovers', 'between'),
      ...row('floor', 'floor'),
    ],
  }
}

function happenedTable(asked: Asked, { load, rollovers, killed }: SoakSeen) {
  const times = rollovers.map(({ seconds }) => seconds).toSorted((a, b) => a - b)
  const again = (load.phases.rollover?.again ?? 0) + (load.phases.between?.again ?? 0)
  const cutByKill = load.streams.cuts.filter((cut) => isCutByKill(cut, killed)).length
  const middle = times[Math.floor(times.length / 2)] ?? Number.NaN
  return {
    title: 'what happened meanwhile',
    columns: ['what', 'seen'],
    rows: [
      ['rollovers', `${rollovers.length} of ${asked.rollovers}`],
      ['seconds of one, middle and longest', `${digits(middle)}, ${digits(times.at(-1) ?? Number.NaN)}`],
      ['requests answered at a second try', many(again)],
      ['times that something due waited for the store', many(load.keyWaits)],
      [
        `streams of ${STREAM_MS / 1_000} s that came to their end (${STREAMS} at once)`,
        many(load.streams.whole),
      ],
      ['streams cut by the death of their gateway', many(cutByKill)],
      ['streams cut otherwise', many(load.streams.cuts.length - cutByKill)],
      ...KILLS.map((kind) => [`kills: ${kind}`, String(killed.filter(({ kill }) => kill === kind).length)]),
    ],
  }
}

const promisesTable = (promises: Promised[]) => ({
  title: 'promises',
  columns: ['promise', 'held', 'seen'],
  rows: promises.map(({ name, ok, seen }) => [name, ok ? 'yes' : 'NO', seen]),
})
