import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { plantedSecret } from '../leak.ts'
import { type Given, generationOf, live } from './given.ts'

/** What readers get, by whoever's hand. */
export function testShown(given: Given): void {
  describe('what readers get, whoever wrote it', () => {
    test('is nothing before the first promotion, also where something is staged', async () => {
      const { store } = given()
      expect((await store.readShown(call('shown'))).value).toBeUndefined()
      await store.stage(generationOf(1), call('r1.stage.s'))
      expect(await store.readShown(call('shown'))).toEqual({})
    })

    test('is the promoted value, with the version that the promotion said', async () => {
      const { store } = given()
      const value = generationOf(1)
      const version = await live(store, value)
      const shown = await store.readShown(call('shown'))
      expect(shown.storeVersion).toBe(version)
      expect(shown.value?.equals(value.value)).toBe(true)
    })

    test('is what somebody wrote by hand over it, by another version', async () => {
      const { store, liveByHand } = given()
      const version = await live(store, generationOf(1))
      const byHand = plantedSecret()
      await liveByHand(byHand)
      const shown = await store.readShown(call('shown'))
      expect(shown.storeVersion).toEqual(expect.any(String))
      expect(shown.storeVersion).not.toBe(version)
      expect(shown.value?.equals(byHand)).toBe(true)
    })

    test('is a version without a value where it was withdrawn', async () => {
      const { store } = given()
      await live(store, generationOf(1))
      const storeVersion = await store.withdraw(1, call('r2.withdraw.s'))
      expect(await store.readShown(call('shown'))).toEqual({ storeVersion })
    })

    test('is what the next promotion replaces, where it is told that', async () => {
      const { store, liveByHand } = given()
      await live(store, generationOf(1))
      await liveByHand(plantedSecret())
      const { storeVersion } = await store.readShown(call('shown'))
      await live(store, generationOf(2), storeVersion)
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 2 })
    })
  })
}
