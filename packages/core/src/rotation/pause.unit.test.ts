import { describe, expect, test } from 'vitest'
import { Play } from './play.fixture.ts'

const pause = (until: number) => ({ type: 'HoldAsked', actor: 'ana', reason: 'launch day', until }) as const
const humanHolds = (play: Play) => play.rotation.holds.filter((hold) => hold.reason === 'human')

describe('a pause', () => {
  test('stops a routine rotation where it is, and ends by itself', () => {
    const play = new Play().playTo('WaveStarted')
    play.give(pause(60_000))
    play.play((p) => p.now > 50_000)
    expect(play.types()).not.toContain('PromotionAsked')
    play.play()
    expect(play.rotation.outcome).toBe('closed')
    expect(play.now).toBeGreaterThanOrEqual(60_000)
    expect(play.events).toContainEqual(
      expect.objectContaining({ type: 'HoldLifted', because: 'the pause is over' }),
    )
  })

  test('that is made longer lasts longer, and shorter shorter', () => {
    for (const [first, second] of [
      [60_000, 90_000],
      [90_000, 60_000],
    ] as const) {
      const play = new Play().playTo('WaveStarted')
      play.give(pause(first))
      play.give(pause(second))
      expect(humanHolds(play)).toMatchObject([{ until: second }])
      play.play((p) => p.now > second - 1_000)
      expect(play.rotation.outcome).toBeNull()
      play.play()
      expect(play.rotation.outcome).toBe('closed')
    }
  })

  test('is ended by a human before its time, and its timer then lifts no other hold', () => {
    const play = new Play().playTo('WaveStarted')
    play.give(pause(60_000))
    play.give({ type: 'ResumeAsked', actor: 'ana', reason: 'launched' })
    expect(humanHolds(play)).toEqual([])
    play.give({ type: 'HoldAsked', actor: 'ben', reason: 'wait' })
    play.play((p) => p.now > 70_000)
    expect(humanHolds(play)).toMatchObject([{ detail: 'held by ben: wait' }])
  })

  test('is not ended by a node that says no: the attempt is given up when it is over', () => {
    for (const reason of ['value_refused', 'store_unreachable']) {
      const play = new Play().playTo('WaveStarted')
      play.silent.add('n1')
      play.give(pause(60_000))
      const about = { node: 'n1', reason, detail: 'd', revision: 1, generation: 2 }
      expect(play.give({ type: 'NodeNacked', ...about }).types).toEqual(['NodeNacked'])
      play.play((p) => p.now > 59_000)
      expect(play.types()).not.toContain('SuccessorAbandoned')
      expect(humanHolds(play)).toMatchObject([{ until: 60_000 }])
      play.playTo('SuccessorAbandoned')
      expect(play.now).toBeGreaterThanOrEqual(60_000)
      expect(play.now).toBeLessThan(60_000 + 2 * play.rotation.plan.waveDeadlineMs)
    }
  })

  test('is refused where a human holds it without an end, and by an emergency, which lifts one', () => {
    const held = new Play().playTo('WaveStarted')
    held.give({ type: 'HoldAsked', actor: 'ben', reason: 'wait' })
    expect(held.give(pause(60_000)).refusal).toContain('held already')
    const play = new Play().playTo('WaveStarted')
    play.give(pause(60_000))
    play.add({ mode: 'expedite' })
    expect(humanHolds(play)).toEqual([])
    expect(play.give(pause(90_000)).refusal).toContain('an emergency is not held')
  })

  test('holds a routine rotation that opens in it, and no emergency', () => {
    const paused = { actor: 'ana', reason: 'launch day', until: 60_000 }
    const routine = new Play({ paused })
    routine.play((p) => p.now > 50_000)
    expect(routine.types()).not.toContain('StagingStarted')
    routine.play()
    expect(routine.rotation.outcome).toBe('closed')
    const emergency = new Play({ paused, mode: 'expedite' })
    expect(humanHolds(emergency)).toEqual([])
    emergency.play((p) => p.now > 50_000)
    expect(emergency.rotation.outcome).toBe('closed')
  })
})
