import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Lane } from './lane.ts'
import { Slots } from './slots.ts'

/** Begins work that goes on until it is ended by name; `begun` has what was let in so far. */
function setUp(shared: number, reserved: number) {
  const slots = new Slots({ shared, reserved })
  const begun: string[] = []
  const gates = new Map<string, () => void>()
  const run = (lane: Lane, name: string) =>
    slots.run(lane, async () => {
      begun.push(name)
      await new Promise<void>((resolve) => gates.set(name, resolve))
    })
  const begin = (lane: Lane, ...names: string[]) => {
    for (const name of names) void run(lane, name)
  }
  const end = async (name: string) => {
    gates.get(name)?.()
    // Whoever is let in by it has begun by then.
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { slots, begun, begin, end, free: () => [slots.free('emergency'), slots.free('routine')] }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('slots', () => {
  test('that are reserved are never given to routine work', () => {
    const { begun, begin, free } = setUp(2, 1)
    begin('routine', 'a', 'b', 'c', 'd')
    expect(begun).toEqual(['a', 'b'])
    expect(free()).toEqual([1, 0])
  })

  test('let an emergency in beside as much routine work as there may be', () => {
    const { begun, begin } = setUp(2, 1)
    begin('routine', 'a', 'b', 'c')
    begin('emergency', 'x')
    expect(begun).toEqual(['a', 'b', 'x'])
  })

  test('are used by emergencies: first the reserved ones, then what everybody may use', () => {
    const { begun, begin, free } = setUp(2, 1)
    begin('emergency', 'x')
    expect(free()).toEqual([2, 2])
    begin('emergency', 'y', 'z', 'late')
    expect(begun).toEqual(['x', 'y', 'z'])
    expect(free()).toEqual([0, 0])
    begin('routine', 'a')
    expect(begun).toEqual(['x', 'y', 'z'])
  })

  test('that become free are an emergency’s before they are routine work’s, whoever had them', async () => {
    const { begun, begin, end } = setUp(1, 1)
    begin('routine', 'a', 'b')
    begin('emergency', 'x', 'y')
    expect(begun).toEqual(['a', 'x'])
    await end('a')
    expect(begun).toEqual(['a', 'x', 'y'])
    await end('x')
    // `y` has moved to the reserved one, so that the shared one is free again.
    expect(begun).toEqual(['a', 'x', 'y', 'b'])
  })

  test('are given in the order in which they were asked for', async () => {
    const { begun, begin, end } = setUp(1, 0)
    begin('routine', 'a', 'b', 'c')
    await end('a')
    await end('b')
    expect(begun).toEqual(['a', 'b', 'c'])
  })

  test('are given back by work that fails', async () => {
    const { slots, free } = setUp(1, 1)
    await expect(slots.run('routine', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(free()).toEqual([2, 1])
  })

  test('are idle when both lanes are', async () => {
    const { slots, begin, end } = setUp(1, 1)
    let isIdle = false
    begin('routine', 'a')
    begin('emergency', 'x')
    const idle = slots.untilIdle().then(() => {
      isIdle = true
    })
    await end('a')
    expect(isIdle).toBe(false)
    await end('x')
    await idle
    expect(isIdle).toBe(true)
  })

  test('are one for routine work while it stands back, and all again when it is calm', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const { slots, begun, begin, end, free } = setUp(3, 1)
    begin('routine', 'a', 'b')
    slots.standBack(500)
    // What has begun goes on.
    expect(free()).toEqual([2, 0])
    begin('routine', 'c', 'd', 'e')
    begin('emergency', 'x', 'y')
    await end('a')
    expect(begun).toEqual(['a', 'b', 'x', 'y'])
    await end('x')
    await end('y')
    await end('b')
    expect(begun).toEqual(['a', 'b', 'x', 'y', 'c'])
    await vi.advanceTimersByTimeAsync(400)
    slots.standBack(500)
    await vi.advanceTimersByTimeAsync(400)
    expect(begun).toHaveLength(5)
    await vi.advanceTimersByTimeAsync(100)
    expect(begun).toEqual(['a', 'b', 'x', 'y', 'c', 'd', 'e'])
  })
})
