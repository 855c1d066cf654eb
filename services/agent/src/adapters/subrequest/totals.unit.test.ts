import { expect, test } from 'vitest'
import { Totals } from './totals.ts'

const report = (upMs: number, requests: number, failures?: number) => ({
  upMs,
  keys: [
    { keyId: 'chat.g1', inFlight: 0, lastUseAgeMs: 0, requests, ...(failures !== undefined && { failures }) },
  ],
  clients: [],
  knocks: [],
})

test('counts go on over a restart, and once each', () => {
  const totals = new Totals()
  const seen = (upMs: number, requests: number, failures?: number) => {
    const [key] = totals.of(report(upMs, requests, failures))
    return [key?.requests, key?.failures]
  }
  expect(seen(1_000, 40, 3)).toEqual([40, 3])
  expect(seen(2_000, 50, 4)).toEqual([50, 4])
  expect(seen(100, 0)).toEqual([50, undefined])
  expect(seen(1_100, 2, 1)).toEqual([52, 5])
  expect(seen(2_100, 3, 1)).toEqual([53, 5])
})
