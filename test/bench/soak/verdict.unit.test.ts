import { expect, test } from 'vitest'
import type { SoakSeen } from './soak.ts'
import { figureOf, judge } from './verdict.ts'

const ASKED = { requests: 100, rate: 10, rollovers: 1, seed: 1 }
const phase = { count: 100, p50: 1, p99: 2, p999: 3, max: 4, failed: 0, again: 2, seconds: 10, answered: 100 }

const seen = (change: (seen: SoakSeen) => void = () => {}): SoakSeen => {
  const sound: SoakSeen = {
    load: {
      phases: { rollover: { ...phase }, floor: { ...phase } },
      failures: [],
      keyWaits: 0,
      streams: { whole: 9, cuts: [] },
    },
    rollovers: [{ seconds: 3, outcome: 'closed', old: [{ gateway: 'nginx', status: 401 }] }],
    killed: [{ kill: 'gateway nginx', atMs: 1_000, backAtMs: 1_100 }],
  }
  change(sound)
  return sound
}
const broken = (change: (seen: SoakSeen) => void) =>
  judge(ASKED, seen(change)).flatMap(({ name, ok }) => (ok ? [] : [name]))
const rollover = ({ rollovers: [only] }: SoakSeen) => {
  if (!only) throw new Error('there is none')
  return only
}

test('all is well where all was seen to be well', () => {
  expect(broken(() => {})).toEqual([])
})

test.for<[string, (seen: SoakSeen) => void]>([
  ['no request failed', ({ load }) => Object.assign(load.phases.floor ?? {}, { failed: 1 })],
  [
    'as many were answered as asked for',
    ({ load }) => Object.assign(load.phases.rollover ?? {}, { count: 99 }),
  ],
  ['the rate was held', ({ load }) => Object.assign(load.phases.rollover ?? {}, { answered: 94 })],
  ['every rollover closed', (of) => Object.assign(rollover(of), { outcome: 'rolled-back' })],
  ['each gateway refused each old key', (of) => rollover(of).old.push({ gateway: 'haproxy', status: 200 })],
  [
    'no stream was cut but by the death of its gateway',
    ({ load }) =>
      load.streams.cuts.push({ gateway: 'haproxy', startedAtMs: 900, endedAtMs: 1_050, seen: '' }),
  ],
])('"%s" is broken by what breaks it, and by nothing else', ([name, change]) => {
  expect(broken(change)).toEqual([name])
})

test('a stream that died with its gateway breaks nothing, and is told apart', () => {
  const cut = seen(({ load }) =>
    load.streams.cuts.push({ gateway: 'nginx', startedAtMs: 900, endedAtMs: 1_050, seen: '' }),
  )
  expect(judge(ASKED, cut).every(({ ok }) => ok)).toBe(true)
  const rows = figureOf(ASKED, cut, judge(ASKED, cut)).tables.flatMap((table) => table.rows)
  expect(rows).toContainEqual(['streams cut by the death of their gateway', '1'])
})
