import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { safeErrorOf } from '../leak.ts'
import { type Given, generationOf, live } from './given.ts'

export function testStaging(given: Given): void {
  describe('staging', () => {
    test('holds the value with its generation and key id, and lists it as pending', async () => {
      const { store, another } = given()
      const value = generationOf(1)
      const staged = await store.stage(value, call('r1.stage.s'))
      expect(staged.value.equals(value.value)).toBe(true)
      const read = await another.read(1, call('read'))
      expect(read).toMatchObject({ generation: 1, keyId: 'key-1' })
      expect(read?.value.equals(value.value)).toBe(true)
      expect(await store.list(call('list'))).toMatchObject([{ generation: 1, labels: ['pending'] }])
    })

    test('shows nothing to readers before a promotion', async () => {
      const { store } = given()
      expect(await store.readCurrent(call('read'))).toBeUndefined()
      expect(await store.read(1, call('read'))).toBeUndefined()
      const version = await live(store, generationOf(1))
      await store.stage(generationOf(2), call('r2.stage.s'))
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: version })
    })

    test('has the effect of one when the call is repeated', async () => {
      const { store } = given()
      const value = generationOf(1)
      const first = await store.stage(value, call('r1.stage.s'))
      const second = await store.stage(value, call('r1.stage.s'))
      expect(second.storeVersion).toBe(first.storeVersion)
      expect(await store.list(call('list'))).toHaveLength(1)
    })

    test('keeps the value that was staged first and returns it to whoever comes second', async () => {
      const { store, another } = given()
      const first = generationOf(1)
      const second = generationOf(1)
      await store.stage(first, call('r1.stage.s'))
      const returned = await another.stage(second, call('r1.stage.s'))
      expect(returned.value.equals(first.value)).toBe(true)
      expect((await store.read(1, call('read')))?.value.equals(first.value)).toBe(true)
    })

    test('lets one of eight racing stagers win and tells all of them which', async () => {
      const { store, another } = given()
      const racers = Array.from({ length: 8 }, (_, n) =>
        (n % 2 ? store : another).stage(generationOf(1), call(`r${n}.stage.s`)),
      )
      const [first, ...others] = await Promise.all(racers)
      expect(others.every((other) => first?.value.equals(other.value))).toBe(true)
      expect(
        (await store.read(1, call('read')))?.value.equals(others[0]?.value ?? generationOf(0).value),
      ).toBe(true)
    })

    test('leaves a promoted generation as it is when its staging is repeated late', async () => {
      const { store } = given()
      const value = generationOf(1)
      const version = await live(store, value)
      const again = await store.stage(generationOf(1), call('late.stage.s'))
      expect(again.value.equals(value.value)).toBe(true)
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: version })
    })

    test('refuses where somebody else left a pending version', async () => {
      const { store, foreignPending } = given()
      await live(store, generationOf(1))
      await foreignPending(2)
      const value = generationOf(2)
      const error = await safeErrorOf(store.stage(value, call('r2.stage.s')), value.value)
      expect(error.code).toBe('foreign_writer')
    })
  })
}
