import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { safeErrorOf } from '../leak.ts'
import { type Given, generationOf, live } from './given.ts'

export function testRestoring(given: Given): void {
  describe('restoring', () => {
    test('puts the old value back as a new version', async () => {
      const { store } = given()
      const old = generationOf(1)
      const first = await live(store, old)
      const second = await live(store, generationOf(2), first)
      const restored = await store.restore(old, call('r2.restore.s'))
      expect([first, second]).not.toContain(restored)
      const current = await store.readCurrent(call('read'))
      expect(current).toMatchObject({ generation: 1, storeVersion: restored })
      expect(current?.value.equals(old.value)).toBe(true)
      expect((await store.read(1, call('read')))?.value.equals(old.value)).toBe(true)
    })

    test('writes once for one call, and a repeat after a later promotion changes nothing', async () => {
      const { store } = given()
      const old = generationOf(1)
      const first = await live(store, old)
      await live(store, generationOf(2), first)
      const restored = await store.restore(old, call('r2.restore.s'))
      expect(await store.restore(old, call('r2.restore.s'))).toBe(restored)
      expect(await store.readCurrent(call('read'))).toMatchObject({ storeVersion: restored })
      const third = await live(store, generationOf(3), restored)
      expect(await store.restore(old, call('r2.restore.s'))).toBe(restored)
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 3, storeVersion: third })
    })

    test('writes even where current holds that value, so that a promotion in flight fails', async () => {
      const { store, another } = given()
      const old = generationOf(1)
      const first = await live(store, old)
      await store.stage(generationOf(2), call('r2.stage.s'))
      const restored = await store.restore(old, call('r2.restore.s'))
      expect(restored).not.toBe(first)
      const error = await safeErrorOf(another.promote(2, first, call('r2.promote.s')))
      expect(error.code).toBe('foreign_writer')
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: restored })
    })

    test.each([1, 2, 3, 4, 5])('wins over a promotion that slips in before its request %i', async (nth) => {
      const { store, another, faults } = given()
      const old = generationOf(1)
      const first = await live(another, old)
      await another.stage(generationOf(2), call('r2.stage.s'))
      const slipIn = () => another.promote(2, first, call('r2.promote.s')).catch(() => undefined)
      faults.meanwhile(nth, slipIn)
      const restored = await store.restore(old, call('r2.restore.s'))
      faults.heal()
      await slipIn()
      expect(await another.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: restored })
    })

    test.each([1, 2, 3, 4, 5])(
      'shows readers nothing where it wakes after its time, before its request %i',
      async (nth) => {
        const { store, another, faults } = given()
        const old = generationOf(1)
        const first = await live(another, old)
        const second = await live(another, generationOf(2), first)
        const time = new AbortController()
        let third: string | undefined
        // The request that it was about to send still goes out.
        faults.meanwhile(nth, async () => {
          third = await live(another, generationOf(3), second)
          time.abort()
        })
        await store.restore(old, { key: 'r2.restore.s', signal: time.signal }).catch(() => undefined)
        faults.heal()
        // It may have needed fewer requests.
        const expected = third === undefined ? { generation: 1 } : { generation: 3, storeVersion: third }
        expect(await another.readCurrent(call('read'))).toMatchObject(expected)
        await another.destroy(third === undefined ? 2 : 1, call('r3.destroy.s'))
      },
    )

    test('wins over what somebody wrote by hand, because a human ordered it', async () => {
      const { store, foreignCurrent } = given()
      const old = generationOf(1)
      await live(store, old)
      await foreignCurrent()
      const restored = await store.restore(old, call('r2.restore.s'))
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: restored })
    })

    test('makes the first version of an empty secret', async () => {
      const { store } = given()
      const restored = await store.restore(generationOf(1), call('r1.restore.s'))
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: restored })
      expect(await store.read(1, call('read'))).toMatchObject({ generation: 1 })
    })
  })
}
