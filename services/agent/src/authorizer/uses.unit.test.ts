import { beforeEach, describe, expect, test } from 'vitest'
import { Uses } from './uses.ts'

let now = 0
const usesOf = (more: { inFlightMax?: number; addressesMax?: number } = {}) =>
  new Uses({ longestMs: 1_000, now: () => now, ...more })
beforeEach(() => {
  now = 5_000
})

const only = (uses: Uses, keyId = 'chat.g1') => uses.keys([keyId])[0]

describe('a key', () => {
  test('that nobody used is said to be so', () => {
    expect(only(usesOf())).toEqual({ keyId: 'chat.g1', inFlight: 0, lastUseAgeMs: null, requests: 0 })
  })

  test('is in use from the start of a request to its end, and was used last at its end', () => {
    const uses = usesOf()
    uses.began('r1', 'chat.g1', '10.0.0.7')
    now += 300
    expect(only(uses)).toMatchObject({ inFlight: 1, lastUseAgeMs: 300, requests: 1 })
    uses.ended('r1', 'chat.g1')
    now += 50
    expect(only(uses)).toMatchObject({ inFlight: 0, lastUseAgeMs: 50, requests: 1 })
  })

  test('failed where it ended with a 5xx, once, by whoever let it in; where nobody says how, nothing is said', () => {
    const uses = usesOf()
    uses.began('r0', 'chat.g1', undefined)
    uses.ended('r0', 'chat.g1')
    expect(only(uses)).not.toHaveProperty('failures')
    for (const [request, status] of [
      ['r1', 502],
      ['r2', 200],
      ['r3', 404],
    ] as const) {
      uses.began(request, 'chat.g1', undefined)
      uses.ended(request, 'chat.g1', status)
    }
    // The other authorizer let this one in.
    uses.ended('r4', 'chat.g1', 502)
    expect(only(uses)).toMatchObject({ requests: 4, failures: 1 })
  })

  test('one request that asks twice is one in flight', () => {
    const uses = usesOf()
    uses.began('r1', 'chat.g1', '10.0.0.7')
    uses.began('r1', 'chat.g1', '10.0.0.7')
    expect(only(uses)).toMatchObject({ inFlight: 1 })
    uses.ended('r1', 'chat.g1')
    uses.ended('r1', 'chat.g1')
    expect(only(uses)).toMatchObject({ inFlight: 0 })
  })

  test('whose end was lost is in flight for as long as a request may take, and no longer', () => {
    const uses = usesOf()
    uses.began('lost', 'chat.g1', '10.0.0.7')
    now += 999
    uses.began('later', 'chat.g1', '10.0.0.7')
    expect(only(uses)).toMatchObject({ inFlight: 2 })
    now += 1
    expect(only(uses)).toMatchObject({ inFlight: 1 })
  })

  test('whose request took too long, or began before us, was in use until its end', () => {
    const uses = usesOf()
    uses.began('long', 'chat.g1', '10.0.0.7')
    now += 5_000
    expect(only(uses)).toMatchObject({ inFlight: 0, lastUseAgeMs: 5_000 })
    uses.ended('long', 'chat.g1')
    uses.ended('of nobody', 'chat.g9')
    uses.ended('without a key', undefined)
    expect(only(uses)).toMatchObject({ inFlight: 0, lastUseAgeMs: 0 })
    expect(uses.counted()).toEqual(['chat.g1'])
  })

  test('is forgotten when a thousand others were used since, and not while it is in flight', () => {
    const uses = usesOf()
    uses.began('running', 'chat.g1', '10.0.0.7')
    for (let generation = 2; generation <= 1_100; generation++) {
      now += 0.001
      uses.began(`r${generation}`, `chat.g${generation}`, '10.0.0.7')
      uses.ended(`r${generation}`, `chat.g${generation}`)
    }
    expect(uses.counted().length).toBeLessThanOrEqual(1_001)
    expect(uses.counted()).toContain('chat.g1')
    expect(uses.counted()).not.toContain('chat.g2')
  })

  test('that was held by a process before this one may be in flight since then', () => {
    const uses = usesOf()
    uses.assume(['chat.g1'])
    expect(only(uses)).toMatchObject({ inFlight: 1, requests: 0 })
    now += 1_000
    expect(only(uses)).toMatchObject({ inFlight: 0 })
  })

  test('with more requests than can be known one by one may be in flight', () => {
    const uses = usesOf({ inFlightMax: 2 })
    for (const request of ['r1', 'r2', 'r3']) uses.began(request, 'chat.g1', '10.0.0.7')
    for (const request of ['r1', 'r2', 'r3']) uses.ended(request, 'chat.g1')
    expect(only(uses)).toMatchObject({ inFlight: 1 })
    now += 1_000
    expect(only(uses)).toMatchObject({ inFlight: 0, requests: 3 })
  })
})

test('addresses are counted by key, and the one that came longest ago is forgotten first', () => {
  const uses = usesOf({ addressesMax: 2 })
  uses.began('r1', 'chat.g1', '10.0.0.1')
  uses.began('r2', 'chat.g1', '10.0.0.2')
  uses.began('r3', 'chat.g1', '10.0.0.1')
  uses.began('r4', 'chat.g2', '10.0.0.3')
  uses.knocked('chat.g0', '10.0.0.9')
  now += 10
  expect(uses.clients()).toEqual([
    { keyId: 'chat.g1', address: '10.0.0.1', requests: 2, lastUseAgeMs: 10 },
    { keyId: 'chat.g2', address: '10.0.0.3', requests: 1, lastUseAgeMs: 10 },
  ])
  expect(uses.knocks()).toEqual([{ keyId: 'chat.g0', address: '10.0.0.9', requests: 1, lastUseAgeMs: 10 }])
})
