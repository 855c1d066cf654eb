import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { safeErrorOf } from '../leak.ts'
import { type Given, generationOf, live } from './given.ts'

export function testPromoting(given: Given): void {
  describe('promoting', () => {
    test('makes the staged value what readers get', async () => {
      const { store, another } = given()
      const value = generationOf(1)
      const version = await live(store, value)
      const current = await another.readCurrent(call('read'))
      expect(current).toMatchObject({ generation: 1, keyId: 'key-1', storeVersion: version })
      expect(current?.value.equals(value.value)).toBe(true)
    })

    test('leaves the generation before readable, for a rollback', async () => {
      const { store } = given()
      const old = generationOf(1)
      const first = await live(store, old)
      const second = await live(store, generationOf(2), first)
      expect(second).not.toBe(first)
      expect((await store.read(1, call('read')))?.value.equals(old.value)).toBe(true)
      expect(await store.read(2, call('read'))).toMatchObject({ generation: 2 })
      const listed = await store.list(call('list'))
      expect(listed.find((seen) => seen.labels.includes('current'))).toMatchObject({ generation: 2 })
      expect(listed.find((seen) => seen.labels.includes('previous'))).toMatchObject({ generation: 1 })
      expect(listed.filter((seen) => seen.labels.includes('pending'))).toEqual([])
    })

    test('keeps every generation readable until it is destroyed, however many follow', async () => {
      const { store } = given()
      const values = [1, 2, 3, 4].map((generation) => generationOf(generation))
      let current: string | undefined
      for (const value of values) current = await live(store, value, current)
      for (const { generation, value } of values) {
        expect((await store.read(generation, call('read')))?.value.equals(value)).toBe(true)
      }
    })

    test('returns the same version when repeated, whatever is then expected', async () => {
      const { store } = given()
      const first = await live(store, generationOf(1))
      const second = await live(store, generationOf(2), first)
      expect(await store.promote(2, first, call('r2.promote.s'))).toBe(second)
      expect(await store.promote(2, second, call('r2.promote.s'))).toBe(second)
      expect(await store.promote(2, undefined, call('r2.promote.s'))).toBe(second)
      expect(await store.readCurrent(call('read'))).toMatchObject({ storeVersion: second })
    })

    test('makes one version when two workers promote at the same time', async () => {
      const { store, another } = given()
      const first = await live(store, generationOf(1))
      await store.stage(generationOf(2), call('r2.stage.s'))
      const versions = await Promise.all(
        [store, another, store, another].map((each) => each.promote(2, first, call('r2.promote.s'))),
      )
      expect(new Set(versions).size).toBe(1)
    })

    test('refuses when current is not what was expected, and changes nothing', async () => {
      const { store } = given()
      const first = await live(store, generationOf(1))
      const second = await live(store, generationOf(2), first)
      await store.stage(generationOf(3), call('r3.stage.s'))
      for (const expected of [first, undefined, '999999', '3f2b6e0c-0000-4000-8000-000000000000']) {
        const error = await safeErrorOf(store.promote(3, expected, call('r3.promote.s')))
        expect(error.code).toBe('foreign_writer')
      }
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 2, storeVersion: second })
    })

    test('refuses when somebody changed current by hand in mid-rotation', async () => {
      const { store, foreignCurrent } = given()
      const first = await live(store, generationOf(1))
      const value = generationOf(2)
      await store.stage(value, call('r2.stage.s'))
      await foreignCurrent()
      const error = await safeErrorOf(store.promote(2, first, call('r2.promote.s')), value.value)
      expect(error.code).toBe('foreign_writer')
      expect((await safeErrorOf(store.readCurrent(call('read')))).code).toBe('foreign_writer')
      const listed = await store.list(call('list'))
      expect(listed.find((seen) => seen.labels.includes('current'))?.generation).toBeUndefined()
    })

    test.each([1, 2, 3, 4])(
      'never overwrites what somebody wrote just before its request %i',
      async (nth) => {
        const { store, another, faults, foreignCurrent } = given()
        const first = await live(another, generationOf(1))
        await another.stage(generationOf(2), call('r2.stage.s'))
        let wrote = false
        faults.meanwhile(nth, () => {
          wrote = true
          return foreignCurrent()
        })
        const done = await store.promote(2, first, call('r2.promote.s')).catch((error: unknown) => error)
        faults.heal()
        if (typeof done !== 'string') expect(done).toMatchObject({ code: 'foreign_writer' })
        // Whether it came before our write, which then failed, or after it: what was written by hand stays.
        const listed = await another.list(call('list'))
        const at = (label: 'current' | 'previous') => listed.find((seen) => seen.labels.includes(label))
        expect(at('current')?.generation).toBe(wrote ? undefined : 2)
        // Only a promotion that took place may say so.
        if (typeof done === 'string') expect(at(wrote ? 'previous' : 'current')?.generation).toBe(2)
      },
    )

    test('says that a value is lost where it was never staged', async () => {
      const { store } = given()
      const first = await live(store, generationOf(1))
      const error = await safeErrorOf(store.promote(2, first, call('r2.promote.s')))
      expect(error.code).toBe('value_lost')
    })

    test('replaces a generation that was given up and promoted too late, and nothing else that is not expected', async () => {
      const { store, another } = given()
      const first = await live(store, generationOf(1))
      await store.stage(generationOf(2), call('r2.stage.s'))
      // Nobody heard of this one any more.
      await another.promote(2, first, call('r2.promote.s'))
      await store.stage(generationOf(3), call('r3.stage.s'))
      expect((await safeErrorOf(store.promote(3, first, call('r3.promote.s')))).code).toBe('foreign_writer')
      expect((await safeErrorOf(store.promote(3, first, call('r3.promote.s'), [7]))).code).toBe(
        'foreign_writer',
      )
      const third = await store.promote(3, first, call('r3.promote.s'), [2])
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 3, storeVersion: third })
      await store.destroy(2, call('r2.destroy.s'))
    })
  })
}
