import { describe, expect, test } from 'vitest'
import type { Change, KnownWorkload, Rule } from './change.ts'
import { apply, type Judgement, judge } from './judge.ts'

const known: KnownWorkload = {
  name: 'chat-gateway',
  environment: 'prod',
  artifact: 'pkg:oci/chat@1',
  vendor: 'acme',
  zone: 'eu-central-1a',
}

const change = (over: Partial<Change> = {}): Change => ({
  type: 'zonechanged',
  workload: 'chat-gateway',
  environment: 'prod',
  facts: { zone: 'eu-central-1b' },
  ...over,
})

const rule = (over: Partial<Rule> = {}): Rule => ({
  name: 'rotate-on-zone-change',
  when: { change: ['zonechanged'] },
  rotate: ['chat-gateway-key'],
  ...over,
})

const moved = { field: 'zone', was: 'eu-central-1a', is: 'eu-central-1b' } as const
const rotated: Judgement = {
  kind: 'rotate',
  differences: [moved],
  matches: [{ rule: 'rotate-on-zone-change', credential: 'chat-gateway-key' }],
}

describe('judge', () => {
  test.each<[string, KnownWorkload | undefined, Change, Rule[], Judgement]>([
    ['rotates when a fact differs and a rule names the change', known, change(), [rule()], rotated],
    [
      'does not know a workload without inventory',
      undefined,
      change(),
      [rule()],
      { kind: 'unknown-workload' },
    ],
    [
      'does not take one workload for another',
      known,
      change({ workload: 'billing' }),
      [rule()],
      { kind: 'unknown-workload' },
    ],
    [
      'finds no change where the event states what is known, whatever it is called',
      known,
      change({ facts: { zone: 'eu-central-1a' } }),
      [rule()],
      { kind: 'no-change' },
    ],
    [
      'finds no change in an event without facts',
      known,
      change({ facts: {} }),
      [rule()],
      { kind: 'no-change' },
    ],
    [
      'counts the first value of a fact as a difference from nothing',
      known,
      change({ type: 'datasetchanged', facts: { dataset: 'v2' } }),
      [rule({ when: { change: ['datasetchanged'] } })],
      { ...rotated, differences: [{ field: 'dataset', was: null, is: 'v2' }] } as Judgement,
    ],
    [
      'calls a real change without a rule by its name',
      known,
      change(),
      [],
      { kind: 'no-rule', differences: [moved] },
    ],
    [
      'does not apply a rule for another kind of change',
      known,
      change(),
      [rule({ when: { change: ['vendorchanged'] } })],
      { kind: 'no-rule', differences: [moved] },
    ],
    [
      'does not apply a rule for another workload',
      known,
      change(),
      [rule({ when: { change: ['zonechanged'], workload: 'billing' } })],
      { kind: 'no-rule', differences: [moved] },
    ],
    [
      'does not apply a rule for another environment',
      known,
      change(),
      [rule({ when: { change: ['zonechanged'], environment: 'staging' } })],
      { kind: 'no-rule', differences: [moved] },
    ],
    [
      'applies a rule for this workload and environment',
      known,
      change(),
      [rule({ when: { change: ['zonechanged'], workload: 'chat-gateway', environment: 'prod' } })],
      rotated,
    ],
    [
      'applies a rule for an environment to an event that names none',
      known,
      { type: 'zonechanged', workload: 'chat-gateway', facts: { zone: 'eu-central-1b' } },
      [rule({ when: { change: ['zonechanged'], environment: 'prod' } })],
      rotated,
    ],
    [
      'rotates a credential once, because of the first rule that names it',
      known,
      change(),
      [rule({ rotate: ['a', 'b', 'a'] }), rule({ name: 'second', rotate: ['b', 'c'] })],
      {
        kind: 'rotate',
        differences: [moved],
        matches: [
          { rule: 'rotate-on-zone-change', credential: 'a' },
          { rule: 'rotate-on-zone-change', credential: 'b' },
          { rule: 'second', credential: 'c' },
        ],
      },
    ],
    [
      'reports every difference, not only the one the event is named for',
      known,
      change({ facts: { zone: 'eu-central-1b', vendor: 'umbrella' } }),
      [rule()],
      { ...rotated, differences: [{ field: 'vendor', was: 'acme', is: 'umbrella' }, moved] } as Judgement,
    ],
  ])('%s', (_, knownWorkload, event, rules, expected) => {
    expect(judge(knownWorkload, event, rules)).toEqual(expected)
  })
})

describe('judge: another environment', () => {
  test.each([
    'service.deployed',
    'service.upgraded',
    'vendorchanged',
    'datasetchanged',
    'zonechanged',
  ] as const)('%s elsewhere is not about the known workload', (type) => {
    const elsewhere = change({ type, environment: 'staging' })
    expect(judge(known, elsewhere, [rule({ when: { change: [type] } })])).toEqual({
      kind: 'unknown-workload',
      knownIn: 'prod',
    })
    expect(apply(known, elsewhere)).toEqual(known)
  })

  const moves = change({ type: 'environment.modified', environment: 'staging', facts: {} })

  test('environment.modified elsewhere means that the workload moved', () => {
    expect(judge(known, moves, [rule({ when: { change: ['environment.modified'] } })])).toMatchObject({
      kind: 'rotate',
      differences: [{ field: 'environment', was: 'prod', is: 'staging' }],
    })
    expect(apply(known, moves)).toEqual({ ...known, environment: 'staging' })
  })

  test.each(['prod', 'staging'])('a rule for %s applies to a move from prod to staging', (environment) => {
    const rules = [rule({ when: { change: ['environment.modified'], environment } })]
    expect(judge(known, moves, rules).kind).toBe('rotate')
  })

  test('environment.modified where the workload is known changes nothing by itself', () => {
    const same = change({ type: 'environment.modified', facts: {} })
    expect(judge(known, same, [rule({ when: { change: ['environment.modified'] } })]).kind).toBe('no-change')
  })
})

describe('apply', () => {
  test('keeps what the event does not mention', () => {
    expect(apply(known, change())).toEqual({ ...known, zone: 'eu-central-1b' })
  })

  test('makes the same event a repeat', () => {
    expect(judge(apply(known, change()), change(), [rule()])).toEqual({ kind: 'no-change' })
  })

  test('leaves its input alone', () => {
    const frozen = Object.freeze({ ...known })
    apply(frozen, change())
    expect(frozen).toEqual(known)
  })

  test('leaves another workload alone', () => {
    expect(apply(known, change({ workload: 'billing' }))).toEqual(known)
  })
})

describe('what comes late', () => {
  const seen = apply(known, change({ at: 200 }))

  test('does not overturn what is known from a later time', () => {
    const late = change({ at: 100, facts: { zone: 'eu-central-1a' } })
    expect(judge(seen, late, [rule()])).toEqual({ kind: 'no-change' })
    expect(apply(seen, late)).toEqual(seen)
  })

  test('counts where it is about something else, or newer, or says no time', () => {
    for (const facts of [{ vendor: 'umbrella' }, { zone: 'eu-central-1c' }] as const) {
      const at = 'zone' in facts ? 300 : 100
      expect(judge(seen, change({ at, facts }), [rule()]).kind).toBe('rotate')
    }
    const { at: _, ...untimed } = change({ facts: { zone: 'eu-central-1c' } })
    expect(judge(seen, untimed, [rule()]).kind).toBe('rotate')
  })

  test('leads to the same knowledge in any order', () => {
    const zones = ['a', 'b', 'c', 'd'].map((zone, n) => change({ at: n, facts: { zone } }))
    const forth = zones.reduce(apply, known)
    const back = zones.toReversed().reduce(apply, known)
    expect(back).toEqual(forth)
  })

  test('keeps how recently a fact was said, even where it says nothing new', () => {
    const again = apply(seen, change({ at: 300 }))
    expect(judge(again, change({ at: 250, facts: { zone: 'eu-central-1a' } }), [rule()]).kind).toBe(
      'no-change',
    )
  })
})
