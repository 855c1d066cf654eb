import { describe, expect, test } from 'vitest'
import { OPENING } from './bench.fixture.ts'
import { type Found, type FoundGeneration, settleFound, verdictOf } from './found.ts'
import { openFound } from './open-found.ts'
import { Play } from './play.fixture.ts'

const generation = (n: number, tried: FoundGeneration['tried'] = 'accepted', stores = ['vault', 'aws']) => ({
  generation: n,
  keyId: `key.g${n}`,
  proofKey: `pub${n}`,
  stores,
  tried,
})
const found = (vault: number | null, aws: number | null, ...generations: FoundGeneration[]): Found => ({
  stores: [
    { store: 'vault', current: vault, storeVersion: vault === null ? null : `v${vault}` },
    { store: 'aws', current: aws, storeVersion: aws === null ? null : `a${aws}` },
  ],
  generations,
})

describe('what was found, compared with the ledger', () => {
  test.each([
    [found(5, 5, generation(5)), 5, 'agrees'],
    [found(null, null), null, 'agrees'],
    [found(8, 8, generation(8)), 5, 'newer'],
    // Rolled back after the backup.
    [found(4, 4, generation(4)), 5, 'newer'],
    [found(8, 8, generation(8)), null, 'newer'],
    [found(8, 7, generation(7), generation(8)), 7, 'differs'],
    [found(null, 7, generation(7)), 7, 'differs'],
    [found(null, null, generation(7)), 7, 'nothing'],
  ] as const)('%j with %s: %s', (seen, believed, verdict) => {
    expect(verdictOf(seen, believed)).toBe(verdict)
  })

  test.each([
    [found(8, 7, generation(7), generation(8)), undefined, /do not show the same; choose one of 7, 8/],
    [found(null, null, generation(7)), undefined, /no store shows a value; choose one of 7/],
    [found(null, null), undefined, /--ended/],
    [found(8, 8, generation(8), generation(7, 'unknown')), undefined, /endpoint/],
    [found(8, 8, generation(8)), 9, /no store holds generation 9/],
    [found(8, 7, generation(7), generation(8, 'accepted', ['vault'])), 8, /not in aws/],
    [found(8, 7, generation(7), generation(8, 'refused')), 8, /not accepted at every endpoint/],
  ])('%j cannot be released with %s', (seen, chosen, why) => {
    expect(settleFound(seen, 5, chosen)).toEqual({ refusal: expect.stringMatching(why) })
  })

  test('is released with what every store shows, or with what the human chose of what they hold', () => {
    expect(settleFound(found(8, 8, generation(8), generation(7)), 5)).toMatchObject({
      current: { generation: 8 },
      shownBy: new Map([
        ['vault', 'v8'],
        ['aws', 'a8'],
      ]),
      others: [{ generation: 7 }],
    })
    expect(settleFound(found(8, 7, generation(7), generation(8)), 5, 8)).toMatchObject({
      current: { generation: 8 },
      shownBy: new Map([['vault', 'v8']]),
      others: [{ generation: 7 }],
    })
    expect(settleFound(found(null, null), null)).toMatchObject({ current: null, others: [] })
  })
})

/** A world that stands as found, and goes on from there. */
function given(seen: Found, accepts: number[], chosen?: number): Play {
  const settled = settleFound(seen, 5, chosen)
  if ('refusal' in settled || !settled.current) throw new Error('not to be released so')
  const play = new Play()
  play.members.forEach((m) => {
    m.accepts = accepts
    m.provedRevision = 0
  })
  play.stores = new Map(seen.stores.map((s) => [s.store, s.current]))
  play.nextGeneration = 1_009
  play.events = []
  play.pending.clear()
  play.desired.clear()
  const decision = openFound(
    {
      id: 'key-g8-found',
      credential: 'key',
      plan: { ...OPENING.plan, waves: [1, '100%'] },
      cause: OPENING.cause,
      revision: 1_000_000,
      movedAt: play.now,
      found: { ...settled, current: settled.current },
      later: [],
    },
    play.facts(),
  )
  play.rotation = decision.rotation
  play.take(decision)
  return play
}
const deadOf = (play: Play) => play.events.flatMap((e) => (e.type === 'GenerationDead' ? [e.generation] : []))
const toldOf = (play: Play) => play.events.flatMap((e) => (e.type === 'WaveStarted' ? [e.accept] : []))

describe('a rotation that is gone on with from what was found', () => {
  test('with the stores moved: every node proves both, and the other one is drained before it dies', () => {
    const play = given(found(8, 8, generation(8), generation(7)), [7, 8])
    expect(play.rotation).toMatchObject({ base: 7, revision: 1_000_001, successor: { generation: 8 } })
    expect(play.rotation.successor?.step).toBe('confirming')
    expect(toldOf(play)).toEqual([[7, 8]])
    for (const member of play.members) member.usage = [{ generation: 7, inFlight: 1, lastUsedAt: play.now }]
    play.playTo('DrainingStarted')
    play.play((p) => p.rotation.holds.some((h) => h.reason === 'drain_cap'))
    expect(deadOf(play)).toEqual([])
    for (const member of play.members) member.usage = []
    play.play()
    expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
    expect(deadOf(play)).toEqual([7])
    expect(play.members.map((m) => m.accepts)).toEqual([[8], [8], [8]])
  })

  test('with one store moved: the other one follows, and then every node proves', () => {
    const play = given(found(8, 7, generation(7), generation(8)), [7, 8], 8)
    expect(play.rotation.successor).toMatchObject({ step: 'promoting', promoted: ['vault'] })
    expect([...play.pending.values()].filter((e) => e.kind === 'promote')).toMatchObject([{ store: 'aws' }])
    play.play()
    expect(play.rotation.outcome).toBe('closed')
    expect([...play.stores.values()]).toEqual([8, 8])
    expect(deadOf(play)).toEqual([7])
  })

  test('can be rolled back to the other one, which puts back the stores that showed it', () => {
    const play = given(found(8, 7, generation(7), generation(8)), [7, 8], 8)
    play.rollback()
    play.play()
    expect(play.rotation.outcome).toBe('rolled-back')
    expect([...play.stores.values()]).toEqual([7, 7])
    expect(deadOf(play)).toEqual([8])
  })

  test('never tells a node to accept again what an endpoint refuses', () => {
    const play = given(found(8, 8, generation(8), generation(7, 'refused')), [8])
    expect(toldOf(play)).toEqual([[8]])
    expect(play.events.find((e) => e.type === 'WaveStarted')).toMatchObject({ refuse: [7], floor: 8 })
    play.play()
    expect(play.rotation.outcome).toBe('closed')
    expect(deadOf(play)).toEqual([7])
    expect(toldOf(play).flat()).not.toContain(7)
  })

  test('ends what was pending and accepted by nobody, and finishes what a store had destroyed', () => {
    const play = given(
      found(7, 7, generation(7), generation(8, 'refused'), generation(6, 'untried', ['aws'])),
      [7],
    )
    play.play()
    expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
    expect(deadOf(play).sort()).toEqual([6, 8])
    expect(
      toldOf(play)
        .flat()
        .every((g) => g === 7),
    ).toBe(true)
    expect([...play.stores.values()]).toEqual([7, 7])
  })

  test('retires a pending one that nodes accept already by the same evidence', () => {
    const play = given(found(7, 7, generation(7), generation(8)), [7, 8])
    play.play()
    expect(play.rotation.outcome).toBe('closed')
    expect(deadOf(play)).toEqual([8])
    expect(play.members.map((m) => m.accepts)).toEqual([[7], [7], [7]])
  })
})
