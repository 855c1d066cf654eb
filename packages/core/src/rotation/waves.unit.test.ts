import { expect, test } from 'vitest'
import { Play } from './play.fixture.ts'
import { planWaves, type WaveEntry } from './waves.ts'

const named = (count: number, labels: (at: number) => Record<string, string> = () => ({})) =>
  Array.from({ length: count }, (_, at) => ({ node: `n${String(at).padStart(2, '0')}`, labels: labels(at) }))
const sizes = (waves: string[][]) => waves.map((wave) => wave.length)

test('waves are cumulative counts and shares, in the order of names, and what is left comes last', () => {
  const nodes = named(30).toReversed()
  expect(sizes(planWaves(nodes, [1, '10%', '100%']))).toEqual([1, 2, 27])
  expect(planWaves(nodes, [1])[0]).toEqual(['n00'])
  expect(sizes(planWaves(nodes, [1]))).toEqual([1, 29])
  expect(sizes(planWaves(nodes, [5, 3, '10%', 6]))).toEqual([5, 1, 24])
  expect(planWaves([], [1, '100%'])).toEqual([])
})

test('a wave for each value of a label, and nodes without it last', () => {
  const nodes = [...named(6, (at) => ({ zone: at % 2 === 0 ? 'b' : 'a' })), { node: 'n90' }]
  expect(planWaves(nodes, [1, { by: 'zone' }])).toEqual([
    ['n00'],
    ['n01', 'n03', 'n05'],
    ['n02', 'n04'],
    ['n90'],
  ])
})

test('a canary has nodes of each half of a blue-green pair, however few one of them has', () => {
  const nodes = named(20, (at) => ({ version: at < 17 ? 'blue' : 'green' }))
  expect(planWaves(nodes, [{ ofEach: 'version', nodes: 1 }])[0]).toEqual(['n00', 'n17'])
  const tenths = planWaves(nodes, [
    { ofEach: 'version', nodes: 1 },
    { ofEach: 'version', nodes: '50%' },
  ])
  expect(sizes(tenths)).toEqual([2, 9, 9])
})

test.each([
  [[1, '100%'], undefined],
  [[{ by: 'zone' }], 4],
  [['30%', { ofEach: 'zone', nodes: '50%' }, 7], 3],
] as [WaveEntry[], number | undefined][])(
  '%j with at most %s in flight has each node once',
  (entries, most) => {
    const nodes = named(23, (at) => (at % 5 === 0 ? {} : { zone: String(at % 3) }))
    const waves = planWaves(nodes, entries, most)
    expect(waves.flat().sort()).toEqual(nodes.map(({ node }) => node))
    expect(Math.max(...sizes(waves))).toBeLessThanOrEqual(most ?? 23)
  },
)

test('no wave is larger than what may be in flight, up and down, but in an emergency', () => {
  const nodes = named(9).map(({ node }) => node)
  const largest = (play: Play, purpose: string) =>
    Math.max(
      ...play.events.flatMap((e) =>
        e.type === 'WaveStarted' && e.purpose === purpose ? e.nodes.length : [],
      ),
    )
  const calm = new Play({ plan: { ...new Play().rotation.plan, maxInFlight: 2 } }, nodes).play()
  expect(calm.rotation.outcome).toBe('closed')
  expect([largest(calm, 'widen'), largest(calm, 'narrow')]).toEqual([2, 2])
  const leaked = new Play({ mode: 'expedite', plan: calm.rotation.plan }, nodes).play()
  expect(leaked.rotation.outcome).toBe('closed')
  expect(largest(leaked, 'widen')).toBe(8)
})

test('hundreds of waves of nodes that are gone or excused are passed in one go', () => {
  const nodes = named(400).map(({ node }) => node)
  const play = new Play({ plan: { ...new Play().rotation.plan, waves: [1], maxInFlight: 1 } }, nodes)
  play.playTo('WaveStarted')
  for (const member of play.members.slice(1, 390)) member.excused = true
  expect(play.play().rotation.outcome).toBe('closed')
})

test('who comes late is told in waves as small', () => {
  const play = new Play({ plan: { ...new Play().rotation.plan, maxInFlight: 2 } }).playTo('RollingStarted')
  const [first] = play.members
  for (const { node } of named(7)) if (first) play.members.push({ ...first, node, accepts: [1] })
  play.play()
  expect(play.rotation.outcome).toBe('closed')
  const widened = play.events.flatMap((e) =>
    e.type === 'WaveStarted' && e.purpose === 'widen' ? [e.nodes] : [],
  )
  expect(Math.max(...widened.map((wave) => wave.length))).toBe(2)
  expect(new Set(widened.flat()).size).toBe(10)
})
