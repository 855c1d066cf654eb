import { describe, expect, test } from 'vitest'
import { Play } from './play.fixture.ts'
import type { Brake, Rotation } from './state.ts'

const BRAKE: Brake = { share: 0.05, requests: 20, watchMs: 3_000, action: 'rollback' }

const braked = (brake: Partial<Brake> = {}) => {
  const { plan } = new Play().rotation
  return new Play({ plan: { ...plan, waves: [1, 2, '100%'], brake: { ...BRAKE, ...brake } } })
}

/** From now on so many of the node's requests fail. */
function answers(play: Play, node: string, failures: number, requests = 100) {
  const member = play.members.find((m) => m.node === node)
  if (member)
    member.usage = [{ generation: 1, inFlight: 0, lastUsedAt: null, recent: { requests, failures } }]
}

const told = (play: Play) => play.events.flatMap((e) => (e.type === 'WaveStarted' ? e.nodes : []))
const reasons = ({ holds }: Rotation) => holds.map(({ reason }) => reason)

test('without errors it closes, and each wave was watched before the next one was told', () => {
  const play = braked()
  const startedAt = new Map<number, number>()
  play.play(({ events, now }) => {
    for (const e of events)
      if (e.type === 'WaveStarted' && e.purpose === 'widen' && !startedAt.has(e.wave))
        startedAt.set(e.wave, now)
    return false
  })
  expect(play.rotation.outcome).toBe('closed')
  const [first = 0, second = 0, third = 0] = startedAt.values()
  expect(second - first).toBeGreaterThanOrEqual(BRAKE.watchMs)
  expect(third - second).toBeGreaterThanOrEqual(BRAKE.watchMs)
})

test('a canary whose requests fail turns it round, and nobody else is ever told of the successor', () => {
  const play = braked().playTo('WaveProved')
  answers(play, 'n1', 6)
  play.playTo('SuccessorAbandoned')
  expect(play.events.find((e) => e.type === 'SuccessorAbandoned')).toMatchObject({
    actor: 'rekey',
    reason: '6 of 100 requests of the last half minute failed, on n1 (6 of 100)',
  })
  expect(told(play)).toEqual(['n1'])
  const since = play.now
  expect(play.play().rotation.outcome).toBe('rolled-back')
  // Nobody is watched on the way back.
  expect(play.now - since).toBeLessThan(BRAKE.watchMs)
})

test('as policy says it is held instead, until a human resumes: then it goes on, whatever fails', () => {
  const play = braked({ action: 'hold' }).playTo('WaveProved')
  answers(play, 'n1', 50)
  play.playTo('HoldPlaced').play(({ now }) => now > 60_000)
  expect(reasons(play.rotation)).toEqual(['error_rate'])
  expect(told(play)).toEqual(['n1'])
  play.give({ type: 'ResumeAsked', actor: 'me', reason: 'it failed before, too' })
  expect(reasons(play.rotation)).toEqual([])
  expect(play.play().rotation.outcome).toBe('closed')
})

describe('it does not brake', () => {
  test.each([
    ['for as many errors as are allowed', 'n1', 5, 100],
    ['where too few requests were seen', 'n1', 15, 15],
    ['for a node that was not told yet', 'n3', 100, 100],
  ])('%s', (_, node, failures, requests) => {
    const play = braked().playTo('WaveProved')
    answers(play, node, failures, requests)
    const until = play.now + BRAKE.watchMs - 500
    play.play(({ now }) => now > until)
    expect(play.types()).not.toContain('SuccessorAbandoned')
    expect(play.rotation.holds).toEqual([])
  })

  test('for a node that is told, and has not proved it yet', () => {
    const play = braked({ watchMs: 0 })
    play.silent.add('n2')
    play.play(({ events }) => events.some((e) => e.type === 'WaveStarted' && e.wave === 1))
    answers(play, 'n2', 100)
    play.play(({ now }) => now > 20_000)
    expect(play.types()).not.toContain('SuccessorAbandoned')
  })

  test('by what a node said long ago', () => {
    const play = braked().playTo('WaveProved')
    answers(play, 'n1', 100)
    play.silent.add('n1')
    for (const member of play.members) if (member.node === 'n1') member.reportedAt = play.now - 3_600_000
    play.playTo('PromotionAsked')
    expect(play.types()).toContain('PromotionAsked')
  })

  test('in an emergency, which also lifts the hold and waits for no watch', () => {
    const play = braked({ action: 'hold', watchMs: 1_000_000 }).playTo('WaveProved')
    answers(play, 'n1', 50)
    play.playTo('HoldPlaced')
    play.add({ mode: 'expedite', compromised: [1] })
    expect(reasons(play.rotation)).toEqual([])
    expect(play.play().rotation.outcome).toBe('closed')
  })
})

test('past the point of no return it holds the narrowing, whatever the policy says', () => {
  const play = braked().playTo('RevocationStarted')
  for (const node of ['n1', 'n2', 'n3']) answers(play, node, 50)
  play.play(({ rotation }) => rotation.holds.length > 0)
  expect(reasons(play.rotation)).toEqual(['error_rate'])
  expect(play.types()).not.toContain('SuccessorAbandoned')
})

test('a node that joined meanwhile and took the successor counts as told', () => {
  const play = braked({ watchMs: 3_000 }).playTo('WaveProved')
  const [first] = play.members
  if (first) play.members.push({ ...first, node: 'n9', accepts: [1, 2] })
  answers(play, 'n9', 50)
  play.playTo('SuccessorAbandoned')
  expect(play.rotation.successor?.step).toBe('abandoned')
})

test('after the stores have moved it goes back as well: they get the old value as a new version', () => {
  const play = braked().playTo('SuccessorLive')
  for (const node of ['n1', 'n2', 'n3']) answers(play, node, 50)
  play.play()
  expect(play.rotation.outcome).toBe('rolled-back')
  expect(play.types().filter((type) => type === 'StoreRestored')).toHaveLength(2)
})
