import type { Leased } from '@rekey/ledger'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Leases } from './leases.ts'

/** The ledger's clock and ours are the same here; what is shown is who stops first. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const LEASE_MS = 1_500

function setUp(options: { actMs?: number; leaseTakesMs?: number } = {}) {
  const asked: string[][] = []
  const told: string[] = []
  let answer = async (keys: string[]) => keys
  const leases = new Leases({
    ledger: {
      async lease(key) {
        if (options.leaseTakesMs) await new Promise((resolve) => setTimeout(resolve, options.leaseTakesMs))
        return { effect: { key }, attempt: 1 } as unknown as Leased
      },
      renew(held) {
        asked.push(held.map((h) => `${h.key} ${h.attempt}`))
        return answer(held.map((h) => h.key))
      },
    },
    logger: {
      warn: (_about: unknown, text: string) => void told.push(text),
      info: (_about: unknown, text: string) => void told.push(text),
    } as never,
    worker: 'w',
    leaseMs: LEASE_MS,
    actMs: options.actMs ?? 60_000,
  })
  return {
    leases,
    asked,
    told,
    answers(next: typeof answer) {
      answer = next
    },
    async take(key: string) {
      const [taken] = await Promise.all([
        leases.take(key),
        vi.advanceTimersByTimeAsync(options.leaseTakesMs ?? 0),
      ])
      return taken
    },
  }
}

test('renews all that it holds in one call, about every third of the lease', async () => {
  const { leases, asked, take } = setUp()
  const a = await take('a')
  const b = await take('b')
  await vi.advanceTimersByTimeAsync(LEASE_MS / 3)
  expect(asked).toEqual([['a 1', 'b 1']])
  a?.release()
  await vi.advanceTimersByTimeAsync(LEASE_MS / 3)
  expect(asked.at(-1)).toEqual(['b 1'])
  await vi.advanceTimersByTimeAsync(10 * LEASE_MS)
  expect(b?.signal.aborted).toBe(false)
  b?.release()
  const calls = asked.length
  await vi.advanceTimersByTimeAsync(10 * LEASE_MS)
  expect(asked.length).toBe(calls)
  leases.close()
})

test('stops an act before its lease ends, counted from before the last renewal that succeeded', async () => {
  const { leases, take, answers, told } = setUp()
  const taken = await take('a')
  await vi.advanceTimersByTimeAsync(LEASE_MS / 3)
  // From here on the ledger is away: the last renewal began at a third of the lease.
  answers(() => Promise.reject(new Error('away')))
  await vi.advanceTimersByTimeAsync(0.8 * LEASE_MS - 1)
  expect(taken?.signal.aborted).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(taken?.signal.aborted).toBe(true)
  expect(taken?.isLost).toBe(true)
  expect(told).toEqual(['leases could not be renewed'])
  leases.close()
})

test('does not count a renewal that answers after the act was stopped', async () => {
  const { leases, take, answers, asked } = setUp()
  const taken = await take('a')
  let late = (_keys: string[]) => {}
  answers(() => new Promise((resolve) => (late = resolve)))
  await vi.advanceTimersByTimeAsync(LEASE_MS)
  expect(taken?.isLost).toBe(true)
  late(['a'])
  const calls = asked.length
  await vi.advanceTimersByTimeAsync(LEASE_MS)
  expect(taken?.signal.aborted).toBe(true)
  expect(asked.length).toBe(calls)
  leases.close()
})

test('stops the act of an effect that the ledger does not give it any more, and no other', async () => {
  const { leases, take, answers } = setUp()
  const cancelled = await take('cancelled')
  const other = await take('other')
  answers(async () => ['other'])
  await vi.advanceTimersByTimeAsync(LEASE_MS)
  expect([cancelled?.isLost, other?.isLost]).toEqual([true, false])
  leases.close()
})

test('ends an attempt that takes too long, although its lease could be renewed', async () => {
  const { leases, take } = setUp({ actMs: 4_000 })
  const taken = await take('a')
  await vi.advanceTimersByTimeAsync(3_999)
  expect(taken?.signal.aborted).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(taken?.signal.aborted).toBe(true)
  // It failed, and that is recorded: the lease was there.
  expect(taken?.isLost).toBe(false)
  leases.close()
})

test('renews at once what the ledger was slow to give, and acts on nothing that came too late', async () => {
  const { leases, take, answers, asked } = setUp({ leaseTakesMs: LEASE_MS })
  const taken = await take('slow')
  expect(asked).toContainEqual(['slow 1'])
  expect(taken?.signal.aborted).toBe(false)
  answers(async () => [])
  expect(await take('too-late')).toBeUndefined()
  leases.close()
})
