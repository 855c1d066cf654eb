import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { safeErrorOf } from '../leak.ts'
import { type Given, generationOf, live } from './given.ts'

export function testDestroying(given: Given): void {
  describe('destroying', () => {
    test('ends every copy of an old generation and no other', async () => {
      const { store, another } = given()
      const first = await live(store, generationOf(1))
      const second = await live(store, generationOf(2), first)
      await store.destroy(1, call('r2.destroy.s'))
      expect(await another.read(1, call('read'))).toBeUndefined()
      expect((await store.list(call('list'))).filter((seen) => seen.generation === 1)).toEqual([])
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 2, storeVersion: second })
      expect(await store.read(2, call('read'))).toMatchObject({ generation: 2 })
    })

    test('ends a generation that was staged and never promoted', async () => {
      const { store } = given()
      const first = await live(store, generationOf(1))
      await store.stage(generationOf(2), call('r2.stage.s'))
      await store.destroy(2, call('r2.destroy.s'))
      expect(await store.read(2, call('read'))).toBeUndefined()
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: first })
      const third = await live(store, generationOf(3), first)
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 3, storeVersion: third })
    })

    test('ends both the promoted and the restored copies', async () => {
      const { store } = given()
      const old = generationOf(1)
      const first = await live(store, old)
      await live(store, generationOf(2), first)
      const restored = await store.restore(old, call('r2.restore.s'))
      await store.destroy(2, call('r2.destroy.s'))
      expect(await store.read(2, call('read'))).toBeUndefined()
      await live(store, generationOf(3), restored)
      await store.destroy(1, call('r3.destroy.s'))
      expect(await store.read(1, call('read'))).toBeUndefined()
      expect((await store.list(call('list'))).map((seen) => seen.generation)).not.toContain(1)
    })

    test('succeeds when repeated, and where nothing is there', async () => {
      const { store } = given()
      await store.destroy(7, call('r7.destroy.s'))
      const first = await live(store, generationOf(1))
      await live(store, generationOf(2), first)
      await store.destroy(1, call('r2.destroy.s'))
      await store.destroy(1, call('r2.destroy.s'))
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 2 })
    })

    test('ends a generation for good: it is never staged again', async () => {
      const { store, another } = given()
      const first = await live(store, generationOf(1))
      const value = generationOf(2)
      await store.stage(value, call('r2.stage.s'))
      await store.destroy(2, call('r2.destroy.s'))
      // Both the same call that comes late, and another with a value of its own.
      for (const late of [value, generationOf(2)]) {
        const error = await safeErrorOf(another.stage(late, call('r2.stage.s')), late.value, value.value)
        expect(error.code).toBe('value_lost')
      }
      expect(await store.read(2, call('read'))).toBeUndefined()
      expect((await store.list(call('list'))).map((seen) => seen.generation)).not.toContain(2)
      expect((await safeErrorOf(store.promote(2, first, call('r2.promote.s')))).code).toBe('value_lost')
      await live(store, generationOf(3), first)
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 3 })
    })

    test('ends a generation for good that was promoted and followed', async () => {
      const { store, another } = given()
      const old = generationOf(1)
      const first = await live(store, old)
      await live(store, generationOf(2), first)
      await store.destroy(1, call('r2.destroy.s'))
      for (const late of [old, generationOf(1)]) {
        const error = await safeErrorOf(another.stage(late, call('r1.stage.s')), late.value, old.value)
        expect(error.code).toBe('value_lost')
      }
      expect(await store.read(1, call('read'))).toBeUndefined()
    })

    test('keeps out a generation that was never staged', async () => {
      const { store } = given()
      const first = await live(store, generationOf(1))
      await store.destroy(2, call('r2.destroy.s'))
      await store.destroy(2, call('r2.destroy.s'))
      const late = generationOf(2)
      expect((await safeErrorOf(store.stage(late, call('r2.stage.s')), late.value)).code).toBe('value_lost')
      expect(await store.read(2, call('read'))).toBeUndefined()
      expect((await store.list(call('list'))).map((seen) => seen.generation)).not.toContain(2)
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: first })
    })

    test.each([1, 2, 3])(
      'is not undone by the very first staging, paused before its request %i',
      async (nth) => {
        const { store, another, faults } = given()
        const value = generationOf(1)
        faults.meanwhile(nth, () => another.destroy(1, call('r1.destroy.s')))
        await store.stage(value, call('r1.stage.s')).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'value_lost' })
        })
        faults.heal()
        // Where the staging had come to its end before.
        await another.destroy(1, call('r1.destroy.s'))
        expect(await another.read(1, call('read'))).toBeUndefined()
        expect((await safeErrorOf(store.stage(value, call('r1.stage.s')), value.value)).code).toBe(
          'value_lost',
        )
        await live(another, generationOf(2))
        expect(await another.readCurrent(call('read'))).toMatchObject({ generation: 2 })
      },
    )

    test.each([1, 2, 3])('is not undone by a staging that was paused before its request %i', async (nth) => {
      const { store, another, faults } = given()
      const first = await live(another, generationOf(1))
      const value = generationOf(2)
      faults.meanwhile(nth, () => another.destroy(2, call('r2.destroy.s')))
      await store.stage(value, call('r2.stage.s')).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'value_lost' })
      })
      faults.heal()
      // Where the staging had come to its end before.
      await another.destroy(2, call('r2.destroy.s'))
      expect(await another.read(2, call('read'))).toBeUndefined()
      expect((await safeErrorOf(store.stage(value, call('r2.stage.s')), value.value)).code).toBe('value_lost')
      expect(await another.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: first })
    })

    test('refuses what readers get now, promoted or restored', async () => {
      const { store } = given()
      const old = generationOf(1)
      const first = await live(store, old)
      expect((await safeErrorOf(store.destroy(1, call('d')), old.value)).code).toBe('not_allowed_now')
      await live(store, generationOf(2), first)
      await store.restore(old, call('r2.restore.s'))
      expect((await safeErrorOf(store.destroy(1, call('d')), old.value)).code).toBe('not_allowed_now')
      expect((await store.read(1, call('read')))?.value.equals(old.value)).toBe(true)
    })

    test('works while a foreign version is current', async () => {
      const { store, foreignCurrent } = given()
      await live(store, generationOf(1))
      await foreignCurrent()
      await store.destroy(1, call('r1.destroy.s'))
      expect(await store.read(1, call('read'))).toBeUndefined()
    })
  })
}
