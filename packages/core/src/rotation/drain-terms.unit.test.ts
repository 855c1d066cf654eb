import { expect, test } from 'vitest'
import { drainTerms, longestRequest } from './drain-terms.ts'
import { undrained } from './gate.ts'
import { Play } from './play.fixture.ts'
import type { Plan } from './state.ts'

const { plan } = new Play().rotation

test('the longest term dominates: readers, quiet time, or what a node declares', () => {
  const [member] = new Play().members
  if (!member) throw new Error('no member')
  const of = (quietMs: number, readerCacheMs: number, cacheMs?: number) =>
    drainTerms({ ...plan, quietMs, readerCacheMs }, [
      { ...member, ...(cacheMs !== undefined && { cacheMs }) },
    ])[0]
  expect(of(1, 2)).toEqual({ ms: 2, why: 'readers of the stores may hold it' })
  expect(of(3, 2)).toEqual({ ms: 3, why: 'it must be unused for so long' })
  expect(of(3, 2, 4)).toEqual({ ms: 4, why: 'n1 may hold it' })
  expect(longestRequest([member])).toBeUndefined()
  expect(longestRequest([member, { ...member, node: 'n2', longestMs: 9 }])?.why).toBe(
    'a request on n2 may run',
  )
})

test('what a node holds for so long is not revoked before', () => {
  const play = new Play()
  for (const member of play.members) if (member.node === 'n2') member.cacheMs = 40_000
  play.playTo('DrainingStarted')
  const [retirement] = play.rotation.retirements
  if (!retirement) throw new Error('nothing is retired')
  expect(undrained(play.rotation, retirement, play.facts())[0]?.message).toMatch(
    /^n2 may hold it: \d+ ms more$/,
  )
  const since = play.now
  play.playTo('RevocationStarted')
  expect(play.now - since).toBeGreaterThanOrEqual(40_000 - 1_000)
  expect(play.play().rotation.outcome).toBe('closed')
})

test('stragglers at the cap are held, or ended where the policy says so, with their sessions', () => {
  const straggling = (more: Partial<Plan>) => {
    const play = new Play({
      plan: { ...plan, direction: 'outbound', soakMs: null, drainCapMs: 5_000, ...more },
    })
    play.playTo('DrainingStarted')
    for (const member of play.members) member.usage = [{ generation: 1, inFlight: 1, lastUsedAt: null }]
    return play.play(({ now, rotation }) => now > 30_000 || rotation.outcome !== null)
  }
  expect(straggling({}).rotation.holds.map(({ reason }) => reason)).toEqual(['drain_cap'])
  const cut = straggling({ atDrainCap: 'cut' })
  expect(cut.rotation.outcome).toBe('closed')
  // Never before its readers may have let go.
  const early = straggling({ atDrainCap: 'cut', drainCapMs: 0, readerCacheMs: 15_000 })
  expect(early.now).toBeGreaterThan(10_000 + 15_000)
  const announced = cut.events.find((e) => e.type === 'RevocationAnnounced')
  expect(announced).toMatchObject({ cut: true, evidence: ['n1: cut', 'n2: cut', 'n3: cut'] })
})

test('what was announced as unused is not cut when somebody uses it again', () => {
  const play = new Play({ plan: { ...plan, drainCapMs: 1_000, atDrainCap: 'cut' } }).playTo(
    'RevocationAnnounced',
  )
  for (const member of play.members) member.usage = [{ generation: 1, inFlight: 1, lastUsedAt: null }]
  play.play(({ now }) => now > 60_000)
  expect(play.types()).not.toContain('RevocationStarted')
  expect(play.rotation.holds.map(({ reason }) => reason)).toEqual(['drain_cap'])
})

test('a wave whose nodes said no goes back at its deadline, also where only the ledger has it on record', () => {
  const play = new Play({ plan: { ...plan, waves: ['100%'], waveDeadlineMs: 2_000 } })
  play.silent.add('n2')
  play.playTo('WaveStarted')
  for (const member of play.members) if (member.node === 'n2') member.nack = 'store_unreachable'
  play.playTo('SuccessorAbandoned')
  expect(play.events.find((e) => e.type === 'SuccessorAbandoned')?.reason).toBe('n2: store_unreachable')
})
