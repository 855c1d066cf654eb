import { describe, expect, test } from 'vitest'
import { Bench, OPENING } from './bench.fixture.ts'
import { desired } from './desired.ts'
import type { Effect } from './effects.ts'
import type { Input } from './inputs.ts'
import { phaseOf } from './phase.ts'

describe('a rotation', () => {
  test('starts nothing outside before the settling time is over', () => {
    const bench = new Bench()
    expect(bench.effects.map((e) => e.kind)).toEqual(['timer', 'timer'])
    expect(
      bench.give({
        type: 'CauseAdded',
        cause: OPENING.cause,
        mode: 'rotate',
        goal: 'replace',
        compromised: [],
      }).types,
    ).toEqual(['CauseJoined'])
    expect(bench.give({ type: 'TimerFired', timer: { name: 'settled' } }).types).toEqual([
      'Settled',
      'StagingStarted',
    ])
    expect(
      bench.give({
        type: 'CauseAdded',
        cause: OPENING.cause,
        mode: 'rotate',
        goal: 'replace',
        compromised: [],
      }).types,
    ).toEqual(['FollowUpNoted'])
  })

  test('stages store after store, and tells no node before every store holds the value', () => {
    const bench = new Bench()
    bench.give({ type: 'TimerFired', timer: { name: 'settled' } })
    const staged = { kind: 'stage', storeVersion: 's', keyId: 'k', proofKey: null } as const
    expect(bench.done('stage', staged).types).toEqual(['ValueStaged'])
    expect(bench.done('stage', staged).types).toEqual(['ValueStaged', 'RollingStarted', 'WaveStarted'])
    expect(bench.effect('deliver')).toMatchObject({ nodes: ['n1'], revision: 1 })
  })

  test('does not move a store before every node accepts the new value, joiners included', () => {
    const bench = new Bench().toRolling()
    bench.members.push({ ...bench.member, node: 'n2', accepts: [1] })
    expect(bench.obey().types).toEqual(['WaveProved', 'WaveStarted'])
    expect(bench.rotation.successor?.rollout?.waves).toEqual([['n1'], ['n2']])
    expect(bench.effects.some((e) => e.kind === 'promote')).toBe(false)
  })

  test('is not live before every node proved again after the stores moved', () => {
    const bench = new Bench().toRolling()
    bench.obey()
    for (let i = 0; i < 2; i++) bench.done('promote', { kind: 'promote', storeVersion: 'v' })
    const accepted = { endpoint: 'e', verdict: 'accepted', seen: '200', control: 'accepted' } as const
    expect(bench.done('probe', { kind: 'probe', results: [accepted] }).types).toEqual(['BaselineProbed'])
    expect(phaseOf(bench.rotation)).toBe('Confirming')
    expect(bench.obey().types).toContain('SuccessorLive')
  })

  test('takes the same outcome once', () => {
    const bench = new Bench()
    bench.give({ type: 'TimerFired', timer: { name: 'settled' } })
    const effect = bench.effect('stage')
    const result = { kind: 'stage', storeVersion: 's', keyId: 'k', proofKey: null } as const
    bench.give({ type: 'EffectDone', effect, result })
    expect(bench.give({ type: 'EffectDone', effect, result })).toMatchObject({ events: [], effects: [] })
  })
})

describe('a node that cannot', () => {
  const nack = (reason: string, revision = 1): Input => {
    return { type: 'NodeNacked', node: 'n1', reason, detail: 'd', revision, generation: 2 }
  }

  test('take the new value at all ends the attempt at once', () => {
    const { types } = new Bench().toRolling().give(nack('value_refused'))
    expect(types.slice(0, 3)).toEqual(['NodeNacked', 'SuccessorAbandoned', 'RetirementOpened'])
  })

  test('reach its store is given until the deadline, and then ends the attempt', () => {
    const bench = new Bench().toRolling()
    expect(bench.give(nack('store_unreachable')).types).toEqual(['NodeNacked'])
    const { types } = bench.give({ type: 'TimerFired', timer: { name: 'wave-deadline', revision: 1 } })
    expect(types).toContain('SuccessorAbandoned')
  })

  test('be heard at all leads to a hold, which its proof lifts', () => {
    const bench = new Bench().toRolling()
    const { types } = bench.give({ type: 'TimerFired', timer: { name: 'wave-deadline', revision: 1 } })
    expect(types).toEqual(['HoldPlaced'])
    expect(bench.rotation.holds[0]).toMatchObject({
      reason: 'wave_deadline',
      detail: 'widen wave 1: no answer from n1',
    })
    expect(bench.obey().types).toContain('HoldLifted')
  })

  test('answers of an older wave change nothing', () => {
    expect(new Bench().toDraining().give(nack('value_refused')).types).toEqual([])
  })
})

describe('the old value', () => {
  test('is not revoked while a node has a request in flight, used it just now, or tells nothing', () => {
    const bench = new Bench().toDraining()
    bench.now += 500
    const usage = (inFlight: number, ago: number) => [
      { generation: 1, inFlight, lastUsedAt: bench.now - ago },
    ]
    bench.member.usage = usage(1, 400)
    expect(bench.look().types).toEqual([])
    bench.member.usage = usage(0, 50)
    expect(bench.look().types).toEqual([])
    bench.member.usage = usage(0, 150)
    bench.members.push({ ...bench.member, node: 'n2', reportedAt: null })
    expect(bench.look().types).toEqual([])
    bench.members.pop()
    // Silent since before the window ended: nobody knows what happened after.
    bench.silent = true
    bench.member.reportedAt = bench.now - 350
    expect(bench.look().types).toEqual([])
    bench.silent = false
    expect(bench.look().types).toEqual(['RevocationAnnounced'])
  })

  test('waits for clients that an excused node sees, and not for an excused node that sees nothing', () => {
    const bench = new Bench().toDraining()
    bench.now += 500
    bench.members.push({ ...bench.member, node: 'n2', excused: true, reportedAt: null })
    bench.member.excused = true
    bench.member.usage = [{ generation: 1, inFlight: 1, lastUsedAt: bench.now }]
    expect(bench.look().types).toEqual([])
    bench.member.usage = []
    expect(bench.look().types).toEqual(['RevocationAnnounced'])
  })

  test('is not revoked before the audit topic has the intent, nor if it was used again meanwhile', () => {
    const bench = new Bench().toDraining()
    bench.now += 500
    expect(bench.look().types).toEqual(['RevocationAnnounced'])
    expect(bench.look().types).toEqual([])
    bench.member.usage = [{ generation: 1, inFlight: 0, lastUsedAt: bench.now }]
    expect(bench.give({ type: 'AuditAcknowledged', generation: 1 }).types).toEqual(['AuditAcknowledged'])
    bench.now += 200
    expect(bench.look().types).toEqual(['RevocationStarted', 'WaveStarted'])
  })

  test('is not revoked while a node that joined or restarted has not proved the new one', () => {
    const bench = new Bench().toDraining()
    bench.now += 500
    bench.look()
    bench.member.provedRevision = 1
    expect(bench.give({ type: 'AuditAcknowledged', generation: 1 }).types).toEqual(['AuditAcknowledged'])
    bench.member.provedRevision = bench.rotation.confirmRevision
    expect(bench.look().types).toContain('RevocationStarted')
  })

  test('that is never drained leads to a hold, never to a cut', () => {
    const bench = new Bench().toDraining()
    bench.now += 6_000
    bench.member.usage = [{ generation: 1, inFlight: 2, lastUsedAt: bench.now }]
    expect(bench.look().types).toEqual(['HoldPlaced'])
    expect(bench.rotation.holds[0]?.detail).toContain('n1 has 2 requests in flight')
    expect(bench.look().types).toEqual([])
  })

  test('is dead only when refused while the control was accepted, at every endpoint', () => {
    const bench = new Bench().toDraining()
    bench.now += 500
    bench.look()
    bench.give({ type: 'AuditAcknowledged', generation: 1 })
    bench.obey()
    expect(phaseOf(bench.rotation)).toBe('Proving')
    const seen = (verdict: 'refused' | 'accepted' | 'unknown', control: 'accepted' | 'unknown') => ({
      endpoint: 'e',
      verdict,
      seen: '',
      control,
    })
    const probe = (...results: ReturnType<typeof seen>[]) => bench.done('probe', { kind: 'probe', results })
    for (const results of [
      [],
      [seen('unknown', 'accepted')],
      [seen('refused', 'unknown')],
      [seen('refused', 'accepted'), seen('accepted', 'accepted')],
    ])
      expect(probe(...results).effects.map((e) => e.kind)).toEqual(['probe'])
    expect(probe(seen('unknown', 'accepted')).types).toContain('HoldPlaced')
    expect(probe(seen('refused', 'accepted')).effects.map((e) => e.kind)).toEqual(['destroy', 'destroy'])
    for (const effect of bench.effects.filter((e) => e.kind === 'destroy'))
      bench.give({ type: 'EffectDone', effect, result: { kind: 'destroy' } })
    expect(bench.rotation.outcome).toBe('closed')
  })
})

describe('a hold', () => {
  const failed = (effect: Effect): Input => ({
    type: 'EffectFailed',
    effect,
    code: 'permission_denied',
    message: 'm',
  })

  test('for one effect is not lifted by another one that succeeds', () => {
    const bench = new Bench()
    bench.give({ type: 'TimerFired', timer: { name: 'settled' } })
    bench.give({ type: 'RollbackAsked', actor: 'me', reason: 'r' })
    const [vault, aws] = bench.effects.filter((e) => e.kind === 'destroy')
    if (!vault || !aws) throw new Error('no effects')
    bench.give(failed(aws))
    expect(bench.give({ type: 'EffectDone', effect: vault, result: { kind: 'destroy' } }).types).toEqual([
      'StoreDestroyed',
    ])
    expect(bench.rotation.holds).toMatchObject([{ reason: 'effect_failed', about: aws.key }])
    expect(bench.give({ type: 'ResumeAsked', actor: 'me', reason: 'r' })).toMatchObject({ retryFailed: true })
    bench.give({ type: 'EffectDone', effect: aws, result: { kind: 'destroy' } })
    expect(bench.rotation.outcome).toBe('rolled-back')
  })

  test('that a human resumed comes back while its cause is there', () => {
    const bench = new Bench().toRolling()
    const late: Input = { type: 'TimerFired', timer: { name: 'wave-deadline', revision: 1 } }
    expect(bench.give(late).types).toEqual(['HoldPlaced'])
    const { effects } = bench.give({ type: 'ResumeAsked', actor: 'me', reason: 'r' })
    expect(effects.map((e) => e.key)).toEqual(['key-g2.timer.deadline-r1'])
    expect(bench.give(late).types).toEqual(['HoldPlaced'])
  })

  test('is lifted out loud when the successor is abandoned, and the way back has a deadline of its own', () => {
    const bench = new Bench().toRolling()
    bench.give({ type: 'TimerFired', timer: { name: 'overdue' } })
    const { types, effects } = bench.give({ type: 'RollbackAsked', actor: 'me', reason: 'r' })
    expect(types.slice(0, 2)).toEqual(['HoldLifted', 'SuccessorAbandoned'])
    expect(effects.map((e) => e.key)).toContain('key-g2.timer.overdue')
  })
})

test('a baseline that cannot be shown is given up, and the outcome says so', () => {
  const bench = new Bench().toRolling()
  bench.obey()
  for (let i = 0; i < 2; i++) bench.done('promote', { kind: 'promote', storeVersion: 'v' })
  bench.obey()
  const unknown = { endpoint: 'e', verdict: 'unknown', seen: '503', control: 'unknown' } as const
  for (let i = 0; i < 2; i++) bench.done('probe', { kind: 'probe', results: [unknown] })
  expect(phaseOf(bench.rotation)).toBe('Confirming')
  bench.done('probe', { kind: 'probe', results: [unknown] })
  expect(phaseOf(bench.rotation)).toBe('Draining')
  expect(bench.rotation.retirements[0]?.exceptions).toEqual(['no_positive_control'])
})

test('nodes that join after the stores began to move accept what clients may present, though nobody was there before', () => {
  const bench = new Bench()
  bench.members = []
  bench.toRolling()
  expect(bench.rotation.successor?.step).toBe('promoting')
  expect(desired(bench.rotation, 1).accept).toEqual([1, 2])
  const first = new Bench({ base: null })
  first.members = []
  first.toRolling()
  expect(desired(first.rotation, null).accept).toEqual([1])
})

describe('a human', () => {
  test('may roll back until the revocation starts, and not after', () => {
    const bench = new Bench().toDraining()
    bench.now += 500
    bench.look()
    bench.give({ type: 'AuditAcknowledged', generation: 1 })
    expect(bench.give({ type: 'RollbackAsked', actor: 'me', reason: 'r' }).refusal).toContain('no way back')
  })

  test('cannot take back a first value that readers may have', () => {
    const bench = new Bench({ base: null })
    bench.members = []
    bench.toRolling()
    expect(bench.give({ type: 'RollbackAsked', actor: 'me', reason: 'r' }).refusal).toContain(
      'none to go back to',
    )
  })

  test('resumes what failed for good', () => {
    const bench = new Bench()
    bench.give({ type: 'TimerFired', timer: { name: 'settled' } })
    const effect = bench.effect('stage')
    expect(bench.give({ type: 'ResumeAsked', actor: 'me', reason: 'r' }).refusal).toBe('it is not held')
    bench.give({ type: 'EffectFailed', effect, code: 'permission_denied', message: 'm' })
    expect(bench.give({ type: 'ResumeAsked', actor: 'me', reason: 'r' })).toMatchObject({ retryFailed: true })
  })

  test('is told of a rotation that is open for too long', () => {
    const { types } = new Bench().toRolling().give({ type: 'TimerFired', timer: { name: 'overdue' } })
    expect(types).toEqual(['HoldPlaced'])
  })
})

test('a value that no node ever saw is destroyed without draining or proving', () => {
  const bench = new Bench()
  bench.give({ type: 'TimerFired', timer: { name: 'settled' } })
  const { types, effects } = bench.give({ type: 'RollbackAsked', actor: 'me', reason: 'r' })
  expect(types).toEqual(['SuccessorAbandoned', 'RetirementOpened', 'ProvingStarted'])
  expect(effects.filter((e) => e.kind === 'destroy').map((e) => e.key)).toEqual([
    'key-g2.destroy.vault-g2',
    'key-g2.destroy.aws-g2',
  ])
})

test('a node that joins accepts what clients may present, at every phase', () => {
  const bench = new Bench()
  expect(desired(bench.rotation, 1)).toEqual({ accept: [1], refuse: [], floor: 1 })
  expect(desired(bench.toRolling().rotation, 1).accept).toEqual([1, 2])
  const later = new Bench().toDraining()
  expect(desired(later.rotation, 2).accept).toEqual([1, 2])
  later.now += 500
  later.look()
  later.give({ type: 'AuditAcknowledged', generation: 1 })
  expect(desired(later.rotation, 2)).toEqual({ accept: [2], refuse: [1], floor: 2 })
  expect(desired(undefined, null)).toEqual({ accept: [], refuse: [], floor: 1 })
})
