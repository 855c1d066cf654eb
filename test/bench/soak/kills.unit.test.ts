import { expect, test } from 'vitest'
import { Random } from '../../simulation/random.ts'
import { isCutByKill, KILLS, type Killed, plannedKills } from './kills.ts'

test('each kind is killed once before one is killed twice, and a seed says in which order', () => {
  const plan = plannedKills(new Random(7), 2 * KILLS.length, 3_000).flat()
  const halves = [plan.slice(0, KILLS.length), plan.slice(KILLS.length)]
  for (const half of halves) expect(half.map(({ kill }) => kill).sort()).toEqual([...KILLS].sort())
  expect(plan.every(({ afterMs }) => afterMs >= 0 && afterMs <= 3_000)).toBe(true)
  expect(plannedKills(new Random(7), 2 * KILLS.length, 3_000).flat()).toEqual(plan)
  expect(plannedKills(new Random(8), 2 * KILLS.length, 3_000).flat()).not.toEqual(plan)
})

test('few rollovers have more than one kill each, so that no kind is left out', () => {
  const plan = plannedKills(new Random(7), 4, 3_000)
  expect(plan.map((some) => some.length)).toEqual([3, 3, 3, 3])
  expect(new Set(plan.flat().map(({ kill }) => kill)).size).toBe(KILLS.length)
})

test('a stream is cut by a kill only if its own gateway was killed while it ran', () => {
  const killed: Killed[] = [
    { kill: 'gateway nginx', atMs: 1_000, backAtMs: 1_500 },
    { kill: 'agent haproxy', atMs: 3_000, backAtMs: 3_500 },
  ]
  const cut = (gateway: string, startedAtMs: number, endedAtMs: number) =>
    isCutByKill({ gateway, startedAtMs, endedAtMs }, killed)
  expect(cut('nginx', 500, 1_001)).toBe(true)
  expect(cut('', 1_200, 1_201)).toBe(true)
  expect(cut('nginx', 500, 999)).toBe(false)
  expect(cut('nginx', 1_501, 1_600)).toBe(false)
  expect(cut('haproxy', 500, 1_001)).toBe(false)
  expect(cut('haproxy', 3_000, 3_001)).toBe(false)
})
