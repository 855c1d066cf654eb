import { describe, expect, test } from 'vitest'
import { Bench, OPENING } from './bench.fixture.ts'
import type { Input } from './inputs.ts'
import { retirementOf } from './state.ts'

/** The first generation, which somebody else made and clients use. */
const adoption = () => new Bench({ base: null, plan: { ...OPENING.plan, settleMs: 0, adopts: 1 } })
const made = () => new Bench({ base: null })

const nack: Input = {
  type: 'NodeNacked',
  node: 'n1',
  reason: 'value_refused',
  detail: 'd',
  revision: 1,
  generation: 1,
}
const deadline: Input = { type: 'TimerFired', timer: { name: 'wave-deadline', revision: 1 } }
const rollback: Input = { type: 'RollbackAsked', actor: 'me', reason: 'r' }
const contain: Input = {
  type: 'CauseAdded',
  cause: { kind: 'leak', actor: 'me', reason: 'found in a log' },
  mode: 'contain',
  goal: 'replace',
  compromised: [],
}

describe('a value in use that is taken over', () => {
  test('is not given up because a node cannot take it: there is no other one', () => {
    expect(made().toRolling().give(nack).types).toContain('SuccessorAbandoned')
    const bench = adoption().toRolling()
    expect(bench.give(nack).types).toEqual(['NodeNacked'])
    expect(bench.give(deadline).types).toEqual(['HoldPlaced'])
    expect(bench.rotation.successor?.step).toBe('rolling')
  })

  test('can be left alone again until nodes are told, and not after', () => {
    const before = adoption()
    before.give({ type: 'TimerFired', timer: { name: 'settled' } })
    expect(before.give(rollback).types).toContain('SuccessorAbandoned')
    // It was staged at the most: it is cleared away, and nobody is made to refuse it.
    expect(retirementOf(before.rotation, 1)).toMatchObject({ shown: false, valid: false })
    const after = adoption().toRolling().give(rollback)
    expect(after.refusal).toContain('giving that up would end it')
    expect(after.events).toEqual([])
  })

  test.each([
    ['before it is taken over', (bench: Bench) => bench],
    ['when nodes are about to be told', (bench: Bench) => bench.toRolling()],
  ])('is revoked if it must be contained %s, without anybody saying which', (_, bring) => {
    const bench = bring(adoption())
    bench.give(contain)
    expect(bench.rotation.compromised).toEqual([1])
    // Nobody could show that it is refused before it is staged.
    if (bench.rotation.successor?.step === 'staging')
      for (let n = 0; n < 2; n++)
        bench.done('stage', { kind: 'stage', storeVersion: 's', keyId: 'k', proofKey: null })
    expect(retirementOf(bench.rotation, 1)).toMatchObject({ shown: true, valid: true, step: 'revoking' })
    expect(bench.rotation.successor).toMatchObject({ generation: 2 })
  })

  test('is served on if it leaked and must serve, until the next one is up', () => {
    const bench = adoption().toRolling()
    bench.give({ ...contain, mode: 'expedite' } as Input)
    expect(bench.rotation.compromised).toEqual([1])
    expect(bench.rotation.successor).toMatchObject({ generation: 1, step: 'rolling' })
    bench.obey()
    for (let n = 0; n < 2; n++) bench.done('promote', { kind: 'promote', storeVersion: 'v' })
    bench.obey()
    expect(bench.rotation).toMatchObject({ base: 1, successor: { generation: 2, step: 'staging' } })
  })

  test('satisfies nobody who wants a new one: that follows', () => {
    const { types } = adoption().give({ ...contain, mode: 'rotate' } as Input)
    expect(types).toEqual(['FollowUpNoted'])
  })

  test('goes the way of a first value, to its end', () => {
    const bench = adoption().toRolling()
    bench.obey()
    for (let n = 0; n < 2; n++) bench.done('promote', { kind: 'promote', storeVersion: 'v' })
    const { types } = bench.obey()
    expect(types).toContain('SuccessorLive')
    expect(bench.rotation.outcome).toBe('closed')
    expect(bench.rotation.retirements).toEqual([])
  })
})
