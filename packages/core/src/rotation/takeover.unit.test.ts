import { describe, expect, test } from 'vitest'
import { desired } from './desired.ts'
import type { Effect } from './effects.ts'
import { phaseOf } from './phase.ts'
import { Play } from './play.fixture.ts'

const outbound = (plan: Partial<Play['rotation']['plan']> = {}) =>
  new Play({ plan: { ...new Play().rotation.plan, direction: 'outbound', ...plan } })

const deadOf = (play: Play) => play.events.flatMap((e) => (e.type === 'GenerationDead' ? [e.generation] : []))
const waves = (play: Play, purpose: string) =>
  play.events.flatMap((e) => (e.type === 'WaveStarted' && e.purpose === purpose ? [e.nodes] : []))
const at = (play: Play, type: string) => play.types().indexOf(type)

describe('a world in which everything works', () => {
  test.each(['rotate', 'expedite', 'contain'] as const)('ends a %s with the old one dead', (mode) => {
    const play = new Play({ mode }).play()
    expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
    expect(deadOf(play)).toEqual([1])
    expect([...play.stores.values()]).toEqual([2, 2])
    expect(play.members.map((m) => m.accepts)).toEqual([[2], [2], [2]])
  })

  test.each(['rotate', 'expedite', 'contain'] as const)(
    'ends an outbound %s with the old one dead',
    (mode) => {
      const plan = { ...new Play().rotation.plan, direction: 'outbound' as const }
      const play = new Play({ mode, plan }).play()
      expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
      expect([...play.valid]).toEqual([2])
      expect(play.members.map((m) => m.accepts)).toEqual([[2], [2], [2]])
    },
  )
})

describe('expedite', () => {
  test('does not settle, has one canary, and cuts the drain at its bound without waiting for the audit topic', () => {
    const play = new Play({ mode: 'expedite' })
    expect(play.rotation.successor?.step).toBe('staging')
    expect(play.rotation.compromised).toEqual([1])
    play.playTo('DrainingStarted')
    const since = play.now
    for (const member of play.members) member.usage = [{ generation: 1, inFlight: 1, lastUsedAt: play.now }]
    play.playTo('RevocationStarted')
    expect(play.now - since).toBe(300)
    expect(play.types()).not.toContain('AuditAcknowledged')
    expect(waves(play, 'widen')).toEqual([['n1'], ['n2', 'n3']])
    expect(play.events.find((e) => e.type === 'RevocationAnnounced')).toMatchObject({
      evidence: ['n1: cut', 'n2: cut', 'n3: cut'],
    })
  })

  test('still asks every node for its proof', () => {
    const play = new Play({ mode: 'expedite' })
    play.silent.add('n3')
    play.play((p) => p.now > 20_000)
    expect(play.rotation.holds.map((h) => h.reason)).toEqual(['wave_deadline'])
    expect(play.types()).not.toContain('RevocationStarted')
  })

  test('takes a routine rotation over: the rest goes in one wave, and what a human held goes on', () => {
    const play = new Play({}, ['n1', 'n2', 'n3', 'n4']).play((p) => waves(p, 'widen').length === 1)
    play.give({ type: 'HoldAsked', actor: 'me', reason: 'lunch' })
    expect(play.play((p) => p.now > 11_000).types()).not.toContain('PromotionAsked')
    expect(play.add({ mode: 'expedite' }).types).toContain('ModeRaised')
    play.play()
    expect(waves(play, 'widen')).toEqual([['n1'], ['n2', 'n3', 'n4']])
    expect(play.rotation.outcome).toBe('closed')
  })

  test('never goes back to what leaked', () => {
    const play = new Play({ mode: 'expedite' })
    expect(play.rollback().refusal).toContain('no way back')
    play.playTo('WaveStarted')
    const { revision } = play.rotation
    play.give({
      type: 'NodeNacked',
      node: 'n1',
      reason: 'value_refused',
      detail: '',
      revision,
      generation: 2,
    })
    expect(play.rotation.successor?.step).toBe('rolling')
  })
})

describe('contain', () => {
  test('revokes at once, everywhere, and brings the next one up beside it', () => {
    const play = new Play({ mode: 'contain' })
    expect(play.types().slice(0, 5)).toEqual([
      'RotationOpened',
      'RetirementOpened',
      'RevocationStarted',
      'StagingStarted',
      'WaveStarted',
    ])
    expect(desired(play.rotation, 1)).toEqual({ accept: [], refuse: [1], floor: 2 })
    expect(waves(play, 'narrow')).toEqual([['n1', 'n2', 'n3']])
    expect([...play.pending.values()].filter((e) => e.kind === 'withdraw')).toHaveLength(2)
  })

  test('moves a store only after the dead value was withdrawn from it', () => {
    const play = new Play({ mode: 'contain' })
    play.stuck = (e) => e.kind === 'withdraw'
    play.play((p) => p.now > 12_000)
    expect(play.rotation.successor?.step).toBe('rolling')
    expect(play.types()).not.toContain('PromotionAsked')
    play.stuck = () => false
    expect(play.play().rotation.outcome).toBe('closed')
  })

  test('goes up without a lost node, and does not call the old one dead without it', () => {
    const play = new Play({ mode: 'contain' })
    play.silent.add('n3')
    for (const m of play.members) if (m.node === 'n3') m.lost = true
    play.playTo('SuccessorLive')
    expect(
      play.events.filter((e) => e.type === 'WaveProved' && e.lost.includes('n3')).length,
    ).toBeGreaterThan(0)
    play.play((p) => p.now > 30_000)
    expect(deadOf(play)).toEqual([])
    play.silent.clear()
    expect(play.play().rotation.outcome).toBe('closed')
  })

  test('has no control before a successor is up, and asks again then', () => {
    const play = new Play({ mode: 'contain' })
    play.stuck = (e) => e.kind === 'stage'
    play.play((p) => p.now > 15_000)
    const probes = () => play.events.filter((e) => e.type === 'RefusalProbed')
    expect(probes()).toMatchObject([{ conclusive: false }])
    play.stuck = () => false
    play.play()
    expect(probes().at(-1)).toMatchObject({ conclusive: true, results: [{ control: 'accepted' }] })
    expect(play.events.at(-1)).toMatchObject({ type: 'RotationClosed', exceptions: ['no_positive_control'] })
  })

  test('tells everybody at once, where a revocation goes wave by wave and one node is silent', () => {
    const play = new Play().playTo('RevocationStarted')
    expect(waves(play, 'narrow')).toEqual([['n1']])
    play.silent.add('n1')
    play.add({ mode: 'contain', compromised: [1] })
    expect(waves(play, 'narrow')).toEqual([['n1'], ['n1', 'n2', 'n3']])
    play.silent.clear()
    expect(play.play().rotation.outcome).toBe('closed')
  })

  test('outbound, revokes again after the last lease that could still install it', () => {
    const plan = { ...new Play().rotation.plan, direction: 'outbound' as const }
    const play = new Play({ plan }).playTo('ValueInstalled')
    play.leasedUntil = play.now + 400
    play.add({ mode: 'contain' })
    const rounds = [...play.pending.values()].filter((e) => e.kind === 'revoke').map((e) => e.due - play.now)
    expect(rounds).toEqual([0, 400])
    expect(play.play().rotation.outcome).toBe('closed')
    expect(play.events.filter((e) => e.type === 'Revoked')).toHaveLength(2)
    const first = play.events.find((e) => e.type === 'RefusalProbed')
    expect(first).toBeDefined()
  })
})

test('outbound, what came back to life after its revocation is revoked once more', () => {
  const plan = { ...new Play().rotation.plan, direction: 'outbound' as const }
  const play = new Play({ plan }).playTo('ProvingStarted')
  // A call that outlived its lease installed it again.
  play.valid.add(1)
  expect(play.play().rotation.outcome).toBe('closed')
  expect(deadOf(play)).toEqual([1])
  expect(play.types().filter((type) => type === 'RevocationRepeated')).toHaveLength(1)
  expect([...play.valid]).toEqual([2])
})

test('outbound, nodes present what was abandoned until the base is accepted again', () => {
  const plan = { ...new Play().rotation.plan, direction: 'outbound' as const, soakMs: 1_000 }
  const play = new Play({ plan }).playTo('Suspended')
  play.rollback()
  expect(play.valid.has(1)).toBe(false)
  expect(desired(play.rotation, 1).accept).toEqual([2])
  play.playTo('Reinstated')
  expect(desired(play.rotation, 1).accept).toEqual([1])
  expect(play.play().rotation.outcome).toBe('rolled-back')
})

test('outbound, a base that is being reinstated stays so when the next successor is given up too', () => {
  const plan = { ...new Play().rotation.plan, direction: 'outbound' as const, soakMs: 1_000 }
  const play = new Play({ plan }).playTo('Suspended')
  play.stuck = (effect) => effect.kind === 'reinstate'
  play.add({ mode: 'contain', compromised: [2] })
  play.rollback()
  expect(play.rotation.reinstate).toBe(1)
  expect(waves(play, 'back')).toEqual([])
  play.stuck = () => false
  expect(play.play().rotation.outcome).toBe('rolled-back')
  expect([...play.valid]).toEqual([1])
})

describe('a successor that leaks', () => {
  test.each([['RollingStarted'], ['StorePromoted'], ['ConfirmingStarted'], ['DrainingStarted']] as const)(
    'after %s is given up for the base, and another one follows in the same rotation',
    (step) => {
      for (const direction of ['inbound', 'outbound'] as const) {
        const plan = { ...new Play().rotation.plan, direction }
        const play = new Play({ plan }).playTo(step)
        expect(play.add({ mode: 'expedite', compromised: [2] }).types).toContain('SuccessorAbandoned')
        expect(play.rotation.successor?.generation).toBe(3)
        play.play()
        expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
        expect(deadOf(play)).toEqual([2, 1])
        expect([...play.stores.values()]).toEqual([3, 3])
        expect(at(play, 'StagingStarted')).toBeLessThan(at(play, 'SuccessorAbandoned'))
        // A slot is free only after the leaked one lost its own.
        const order = play.events.flatMap((e) =>
          (e.type === 'RevocationStarted' && e.generation === 2) ||
          (e.type === 'StagingStarted' && e.generation === 3)
            ? [e.type]
            : [],
        )
        expect(order).toEqual(['RevocationStarted', 'StagingStarted'])
      }
    },
  )

  test('after the base was revoked becomes the base of the next one', () => {
    for (const mode of ['expedite', 'contain'] as const) {
      const play = new Play().playTo('RevocationStarted')
      play.add({ mode, compromised: [2] })
      expect(play.rotation.base).toBe(2)
      play.play()
      expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
      expect(deadOf(play).sort()).toEqual([1, 2])
      expect([...play.stores.values()]).toEqual([3, 3])
    }
  })

  test('and a base that leaks as well are contained, both', () => {
    for (const direction of ['inbound', 'outbound'] as const) {
      const plan = { ...new Play().rotation.plan, direction }
      const play = new Play({ mode: 'expedite', plan }).playTo('StorePromoted')
      play.add({ mode: 'expedite', compromised: [2] })
      expect(play.rotation.mode).toBe('contain')
      play.play()
      expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
      expect(deadOf(play).sort()).toEqual([1, 2])
      expect([...play.stores.values()]).toEqual([3, 3])
    }
  })

  test('as the first value of all is served until the next one is up', () => {
    const play = new Play({ base: null })
    play.playTo('StorePromoted')
    play.add({ mode: 'expedite', compromised: [2] })
    play.play()
    expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
    expect(deadOf(play)).toEqual([2])
    expect([...play.stores.values()]).toEqual([3, 3])
  })
})

describe('a leak', () => {
  test('while two generations are in use must say which one', () => {
    const play = new Play().playTo('PromotionAsked')
    expect(play.add({ mode: 'expedite' }).refusal).toContain('say which generation')
    expect(play.add({ mode: 'expedite', compromised: [7] }).refusal).toContain('not alive')
    expect(play.add({ mode: 'expedite', compromised: [1] }).refusal).toBeUndefined()
  })

  test('of the base while it is being gone back to brings another successor', () => {
    for (const mode of ['expedite', 'contain'] as const)
      for (const direction of ['inbound', 'outbound'] as const) {
        const plan = { ...new Play().rotation.plan, direction }
        const play = new Play({ plan }).playTo('StorePromoted')
        play.rollback()
        play.add({ mode, compromised: [1] })
        play.play()
        expect(play.rotation.outcome, `${mode} ${direction} ${JSON.stringify(play.rotation)}`).toBe('closed')
        expect(deadOf(play).sort()).toEqual([1, 2])
        expect([...play.stores.values()]).toEqual([3, 3])
      }
  })

  test('that is said twice changes nothing the second time', () => {
    const play = new Play({ mode: 'contain' }).playTo('WaveProved')
    const before = play.rotation
    expect(play.add({ mode: 'contain', compromised: [1] }).types).toEqual(['CauseJoined'])
    expect({ ...play.rotation, joined: [] }).toEqual({ ...before, joined: [] })
  })

  test('found dead by the authority starts with the proof', () => {
    const play = new Play({ mode: 'expedite', alreadyDead: true })
    expect(play.rotation.retirements).toMatchObject([{ step: 'proving', because: 'already-dead' }])
    for (const m of play.members) m.accepts = []
    play.play()
    expect(play.events.at(-1)).toMatchObject({ outcome: 'closed', exceptions: ['no_positive_control'] })
  })
})

describe('one slot', () => {
  test('is held, because nothing can overlap, until the base is contained', () => {
    const play = outbound({ slots: 1 })
    play.play((p) => p.now > 12_000)
    expect(play.rotation.holds).toMatchObject([{ reason: 'no_slot' }])
    expect(play.types()).not.toContain('StagingStarted')
    play.add({ mode: 'contain' })
    expect(play.rotation.successor?.step).toBe('planned')
    play.play()
    expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
    expect([...play.valid]).toEqual([2])
  })
})

describe('what a provider made and nobody installed', () => {
  const superseded = (plan: Partial<Play['rotation']['plan']>) => {
    const play = outbound(plan)
    play.stuck = (effect) => effect.kind === 'install' || effect.kind === 'destroy' || isSecondStore(effect)
    play.playTo('ValueStaged', 2)
    play.add({ mode: 'expedite', compromised: [2] })
    return play.play((p) => p.now > 20_000)
  }
  const isSecondStore = (effect: Effect) => effect.kind === 'stage' && effect.store === 'aws'

  test('keeps its slot until it is destroyed: only then the next one is made', () => {
    const play = superseded({ minted: true })
    expect(play.events).not.toContainEqual(expect.objectContaining({ type: 'StagingStarted', generation: 3 }))
    play.stuck = () => false
    play.play()
    expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
    expect([...play.valid]).toEqual([3])
  })

  test('has none where we made it: the authority never heard of it', () => {
    expect(superseded({}).events).toContainEqual(
      expect.objectContaining({ type: 'StagingStarted', generation: 3 }),
    )
  })
})

test('with the first value contained there is nothing to go back to', () => {
  const play = new Play({ base: null }).playTo('StorePromoted')
  play.add({ mode: 'contain', compromised: [2] })
  expect(play.rollback().refusal).toContain('nothing to go back to')
  expect(play.play().rotation.outcome).toBe('closed')
})

test('one slot: a first value that leaks on its way up is held, until it is contained', () => {
  const play = new Play({
    base: null,
    plan: { ...new Play().rotation.plan, direction: 'outbound', slots: 1 },
  })
  play.playTo('RollingStarted')
  play.add({ mode: 'expedite', compromised: [2] })
  play.play((p) => p.now > 15_000)
  expect(play.rotation.holds.map((h) => h.reason)).toContain('no_slot')
  play.add({ mode: 'contain', compromised: [2] })
  play.play()
  expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
})

describe('an outbound rollback', () => {
  test('brings nodes back, then stores, then every node confirms, and then the new one is revoked', () => {
    const play = outbound().playTo('ConfirmingStarted')
    const from = play.events.length
    play.rollback()
    play.play()
    const told = ['back', 'confirm']
    const order = play.events.slice(from).flatMap((e) => {
      if (e.type === 'WaveStarted' && told.includes(e.purpose)) return [e.purpose]
      return e.type === 'StoreRestored' || e.type === 'RevocationStarted' ? [e.type] : []
    })
    expect(order).toEqual(['back', 'StoreRestored', 'StoreRestored', 'confirm', 'RevocationStarted'])
    expect(play.rotation.outcome).toBe('rolled-back')
    expect([...play.valid]).toEqual([1])
  })

  test('of a first value has nodes let go of it before it is revoked', () => {
    const play = new Play({ base: null, plan: { ...new Play().rotation.plan, direction: 'outbound' } })
    play.playTo('WaveProved')
    const from = play.events.length
    play.rollback()
    play.play()
    expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('rolled-back')
    const types = play.types().slice(from)
    expect(types.indexOf('WaveProved')).toBeLessThan(types.indexOf('RevocationStarted'))
    expect(play.members.map((m) => m.accepts)).toEqual([[], [], []])
  })

  test('during the soak makes the old one acceptable again before anything else', () => {
    const play = outbound({ soakMs: 1_000 }).playTo('Suspended')
    expect(phaseOf(play.rotation)).toBe('Suspended')
    expect(play.valid.has(1)).toBe(false)
    const from = play.events.length
    play.rollback()
    play.play()
    expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('rolled-back')
    expect([...play.valid]).toEqual([1])
    const types = play.types().slice(from)
    expect(types.indexOf('Reinstated')).toBeLessThan(types.indexOf('WaveStarted'))
  })
})

describe('an outbound revocation', () => {
  test('soaks where the authority can suspend, and not in an emergency', () => {
    const routine = outbound({ soakMs: 1_000 }).playTo('Suspended')
    const since = routine.now
    routine.playTo('RevocationStarted')
    expect(routine.now - since).toBeGreaterThanOrEqual(1_000)
    const urgent = outbound({ soakMs: 60_000 }).playTo('Suspended')
    urgent.add({ mode: 'expedite', compromised: [1] })
    expect(urgent.play().rotation.outcome).toBe('closed')
    expect(urgent.now).toBeLessThan(60_000)
  })
})

describe('an offboarding', () => {
  test('drains, revokes and proves with nothing to compare, and says so', () => {
    const play = new Play({ goal: 'retire' }).play()
    expect(play.events.at(-1)).toMatchObject({ outcome: 'closed', exceptions: ['no_control'] })
    expect(play.members.map((m) => m.accepts)).toEqual([[], [], []])
    expect([...play.stores.values()]).toEqual([null, null])
  })

  test('leaves no node that is told to present what is dead', () => {
    const play = new Play({
      goal: 'retire',
      plan: { ...new Play().rotation.plan, direction: 'outbound' },
    }).play()
    expect(play.rotation.outcome).toBe('closed')
    expect([...play.desired.values()].map((d) => d.accept)).toEqual([[], [], []])
  })

  test('is called off as long as nothing was revoked', () => {
    const play = new Play({ goal: 'retire' }).playTo('DrainingStarted')
    play.rollback()
    expect(play.rotation.outcome).toBe('cancelled')
    const soaking = new Play({
      goal: 'retire',
      plan: { ...new Play().rotation.plan, direction: 'outbound', soakMs: 1_000 },
    }).playTo('Suspended')
    soaking.rollback()
    expect(soaking.play().rotation.outcome).toBe('cancelled')
    expect([...soaking.valid]).toEqual([1])
    const late = new Play({ goal: 'retire' }).playTo('RevocationStarted')
    expect(late.rollback().refusal).toContain('no way back')
  })

  test('is not called off once its generation leaked', () => {
    const play = new Play({ goal: 'retire' }).playTo('DrainingStarted')
    play.add({ mode: 'expedite', compromised: [1] })
    expect(play.rollback().refusal).toContain('leaked')
    expect(play.play().rotation.outcome).toBe('closed')
  })
})

describe('a routine start', () => {
  test('waits for its window and its jitter', () => {
    const windows = [{ days: ['thu' as const], from: '02:00', to: '03:00' }]
    // Thursday, 1 January 1970.
    const play = new Play({ jitterMs: 500, plan: { ...new Play().rotation.plan, windows } })
    expect(play.pending.get('key-g2.timer.settled')?.due).toBe(7_200_000 + 500)
    expect(new Play({ mode: 'expedite', plan: { ...new Play().rotation.plan, windows } }).types()).toContain(
      'StagingStarted',
    )
  })

  test('keeps its promotion at a distance from the last one', () => {
    const play = new Play({ movedAt: 10_000, plan: { ...new Play().rotation.plan, readerCacheMs: 5_000 } })
    play.playTo('PromotionAsked')
    expect(play.now).toBeGreaterThanOrEqual(15_000)
    const urgent = new Play({
      mode: 'expedite',
      movedAt: 10_000,
      plan: { ...new Play().rotation.plan, readerCacheMs: 5_000 },
    })
    urgent.playTo('PromotionAsked')
    expect(urgent.now).toBeLessThan(15_000)
  })
})
