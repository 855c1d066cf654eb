import { expect, test } from 'vitest'
import { Play } from './play.fixture.ts'
import type { Disruption } from './state.ts'

/** Nodes n1, n2 and n3 with adapters of these classes; undefined: never connected. */
function playing(classes: (Disruption | undefined)[], maxDisruption?: Disruption) {
  const { plan } = new Play().rotation
  const play = new Play({ plan: { ...plan, ...(maxDisruption && { maxDisruption }) } })
  for (const [index, member] of play.members.entries()) {
    const disruption = classes[index]
    if (disruption) member.disruption = disruption
  }
  return play
}

const later = ({ now }: { now: number }) => now > 60_000
const reasons = (play: Play) => play.rotation.holds.map(({ reason }) => reason)

test('nodes that would be disturbed more than is allowed are named, and nothing is made', () => {
  const play = playing(['A', 'C', 'E'], 'B').playTo('HoldPlaced').play(later)
  expect(play.rotation.holds).toMatchObject([
    { reason: 'disruptive', detail: 'a change would disturb more than class B: n2 (C), n3 (E)' },
  ])
  expect(play.rotation.successor?.step).toBe('planned')
  expect(play.events.some((e) => e.type === 'StagingStarted')).toBe(false)
})

test('a human who resumes lets it go on to its end', () => {
  const play = playing(['C', 'C', 'C'], 'A').playTo('HoldPlaced')
  play.give({ type: 'ResumeAsked', actor: 'me', reason: 'it is night' })
  expect(reasons(play)).toEqual([])
  expect(play.play().rotation.outcome).toBe('closed')
})

test('a human who rolls it back has changed nothing', () => {
  const play = playing(['C', 'C', 'C'], 'A').playTo('HoldPlaced')
  play.give({ type: 'RollbackAsked', actor: 'me', reason: 'not now' })
  expect(play.play().rotation.outcome).toBe('cancelled')
})

test('an emergency disturbs whom it must, also one that takes over from what is held', () => {
  const leak = { kind: 'leak', actor: 'me', reason: 'it leaked' } as const
  const play = playing(['C', 'C', 'C'], 'A').playTo('HoldPlaced')
  play.give({ type: 'CauseAdded', cause: leak, mode: 'expedite', goal: 'replace', compromised: [1] })
  expect(reasons(play)).toEqual([])
  expect(play.play().rotation.outcome).toBe('closed')
})

test.each([
  [['A', 'B', undefined], 'B'],
  [['C', 'E', 'D'], undefined],
] as const)('%j with at most %s is not held', (classes, most) => {
  const play = playing([...classes], most).play()
  expect(play.rotation.outcome).toBe('closed')
  expect(play.events.some((e) => e.type === 'HoldPlaced')).toBe(false)
})
