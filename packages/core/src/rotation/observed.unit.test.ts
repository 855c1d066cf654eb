import { describe, expect, test } from 'vitest'
import type { Observation } from './inputs.ts'
import { Play } from './play.fixture.ts'
import { unmet } from './progress.ts'

/** Outbound, with an authority that is watched and nodes that count nothing. */
function observed(look: (play: Play) => Partial<Observation> | undefined): Play {
  const plan = {
    ...new Play().rotation.plan,
    direction: 'outbound' as const,
    evidence: 'observed' as const,
    soakMs: 500,
  }
  const play = new Play({ plan })
  play.look = () => {
    const seen = look(play)
    return seen ? [{ generation: 1, at: play.now, sessions: 0, lastUsedAt: null, ...seen }] : []
  }
  return play
}

/** Its nodes have no counters at all. */
function withoutCounters(play: Play): Play {
  for (const member of play.members) {
    play.silent.delete(member.node)
    Object.defineProperty(member, 'reportedAt', { get: () => null, set: () => {} })
  }
  return play
}

const waitsFor = (play: Play) => unmet(play.rotation, play.facts()).map(({ message }) => message)

describe('where the authority is watched', () => {
  test('a rotation ends by its sessions alone, and the journal says by what', () => {
    const play = withoutCounters(observed(() => ({}))).play()
    expect(play.rotation.outcome, JSON.stringify(play.rotation)).toBe('closed')
    expect(play.events.find((e) => e.type === 'RevocationAnnounced')).toMatchObject({
      evidence: ['authority: no use seen'],
    })
  })

  test.each<[why: string, look: (play: Play) => Partial<Observation> | undefined, says: RegExp]>([
    ['nobody has looked', () => undefined, /has not been looked at$/],
    ['the last look is old', ({ now }) => ({ at: now - 5_000 }), /not been looked at for 5000 ms/],
    ['there are sessions of it', () => ({ sessions: 3 }), /has 3 open sessions of it/],
    ['there was one a moment ago', ({ now }) => ({ lastUsedAt: now - 50 }), /saw it used 50 ms before/],
    ['it was seen of another one only', () => ({ generation: 2 }), /has not been looked at$/],
  ])('nothing is revoked while %s', (_, look, says) => {
    const play = withoutCounters(observed(look)).playTo('HoldPlaced')
    expect(play.types()).not.toContain('RevocationAnnounced')
    expect(waitsFor(play)).toEqual(expect.arrayContaining([expect.stringMatching(says)]))
  })

  test('a session that comes up during the soak stops the revocation', () => {
    let sessions = 0
    const play = withoutCounters(observed(() => ({ sessions }))).playTo('Suspended')
    sessions = 1
    play.playTo('HoldPlaced')
    expect(play.types()).not.toContain('RevocationStarted')
    sessions = 0
    expect(play.play().rotation.outcome).toBe('closed')
  })

  test('a node that does count is heard as well', () => {
    const play = observed(() => ({}))
    for (const member of play.members.slice(0, 1))
      member.usage = [{ generation: 1, inFlight: 2, lastUsedAt: null }]
    play.playTo('HoldPlaced')
    expect(waitsFor(play)).toContain('n1 has 2 requests in flight')
  })

  test('an emergency is cut at its bound, whoever has a session', () => {
    const play = withoutCounters(observed(() => ({ sessions: 3 })))
    play.add({ mode: 'expedite' })
    expect(play.play().rotation.outcome).toBe('closed')
    expect(play.events.find((e) => e.type === 'RevocationAnnounced')).toMatchObject({
      evidence: ['authority: cut'],
    })
  })
})
