import { describe, expect, test } from 'vitest'
import { kindOf, oneOfEachKind, shuffled, type Target, targetsOf } from './choice.ts'
import type { Passed } from './plan.ts'

/** One process that did these acts, each of them passed on both sides. */
function passed(...acts: (string | string[])[]): Passed[] {
  const seen = new Map<string, number>()
  return acts.flatMap((labels, index) => {
    const points = [labels].flat().map((label) => {
      const occurrence = (seen.get(label) ?? 0) + 1
      seen.set(label, occurrence)
      return { pid: 1, nth: index + 1, label, occurrence }
    })
    return (['before', 'after'] as const).flatMap((side) => points.map((point) => ({ ...point, side })))
  })
}

const names = (targets: Target[]) => targets.map((t) => `${t.label} #${t.occurrence} ${t.side}`)

describe('the points of a journey', () => {
  test('are what all undisturbed runs of it did', () => {
    const runs = [{ fleet: passed('a', 'b', 'b') }, { fleet: passed('b', 'a', 'c') }]
    expect(names(targetsOf(runs))).toEqual(['a #1 before', 'a #1 after', 'b #1 before', 'b #1 after'])
  })

  test('have one target for one act, however much is in it', () => {
    const runs = [{ auditor: passed(['record a', 'record b'], 'record c') }]
    expect(names(targetsOf(runs)).filter((name) => name.endsWith('before'))).toEqual([
      'record a #1 before',
      'record c #1 before',
    ])
  })

  test('are shared by the agents, which all do the same', () => {
    const both = passed('a', 'b', 'c')
    const targets = targetsOf([{ 'agent-1': both, 'agent-2': both }])
    expect(names(targets)).toHaveLength(both.length)
    expect(new Set(targets.map((t) => t.service))).toEqual(new Set(['agent-1', 'agent-2']))
  })
})

test('every kind is chosen once, and the journeys take turns', () => {
  const of = (...labels: string[]) =>
    labels.map((label): Target => ({ service: 'rotator', label, occurrence: 1, side: 'before' }))
  const chosen = oneOfEachKind([
    { journey: 'rotate', targets: of('vault GET a', 'vault GET b', 'aws Get', 'pg lease x') },
    { journey: 'contain', targets: of('vault GET a', 'aws Get', 'vault PUT c') },
  ])
  const kinds = [...chosen.values()].flat().map(kindOf)
  expect(kinds.toSorted()).toEqual([
    'rotator aws Get',
    'rotator pg lease',
    'rotator vault GET',
    'rotator vault PUT',
  ])
  expect(chosen.get('contain')?.length).toBeGreaterThan(1)
})

test('an order comes again with its seed', () => {
  const items = Array.from({ length: 50 }, (_, index) => index)
  expect(shuffled(items, 7)).toEqual(shuffled(items, 7))
  expect(shuffled(items, 7)).not.toEqual(shuffled(items, 8))
  expect(shuffled(items, 7).toSorted((a, b) => a - b)).toEqual(items)
})
