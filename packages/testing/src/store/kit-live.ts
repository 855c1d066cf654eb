import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { plantedSecret, safeErrorOf } from '../leak.ts'
import { type Given, live, untilSettled } from './given.ts'

/** A value that somebody wrote by hand, and its adoption. */
export function testLive(given: Given): void {
  describe('a value that somebody wrote by hand', () => {
    const adopted = (value = plantedSecret()) => ({ generation: 1, keyId: 'key-1', value })

    test('is there for its adoption, and nothing where nobody wrote', async () => {
      const { store, liveByHand } = given()
      expect(await store.readLive(call('live'))).toBeUndefined()
      const value = plantedSecret()
      await liveByHand(value)
      expect((await store.readLive(call('live')))?.value.equals(value)).toBe(true)
    })

    test('is what readers get until its generation is promoted over it, and from then on', async () => {
      const { store, another, liveByHand, liveValue } = given()
      const value = plantedSecret()
      await liveByHand(value)
      const before = await store.readLive(call('live'))
      await store.stage(adopted(value), call('r1.stage.s'))
      expect((await liveValue())?.equals(value)).toBe(true)
      expect(await store.readLive(call('live'))).toMatchObject({ storeVersion: before?.storeVersion })
      const version = await store.promote(1, before?.storeVersion, call('r1.promote.s'))
      expect((await liveValue())?.equals(value)).toBe(true)
      expect(await another.readCurrent(call('read'))).toMatchObject({
        generation: 1,
        keyId: 'key-1',
        storeVersion: version,
      })
      expect((await store.read(1, call('read')))?.value.equals(value)).toBe(true)
    })

    test('gives way to the next generation, and its own is destroyed', async () => {
      const { store, liveByHand } = given()
      const value = plantedSecret()
      await liveByHand(value)
      const by = await store.readLive(call('live'))
      await store.stage(adopted(value), call('r1.stage.s'))
      const first = await store.promote(1, by?.storeVersion, call('r1.promote.s'))
      await live(store, { generation: 2, keyId: 'key-2', value: plantedSecret() }, first)
      await store.destroy(1, call('r2.destroy.s'))
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 2 })
      expect(await store.read(1, call('read'))).toBeUndefined()
    })

    test('is not replaced where somebody has written since', async () => {
      const { store, liveByHand, liveValue } = given()
      const value = plantedSecret()
      await liveByHand(value)
      const before = await store.readLive(call('live'))
      await store.stage(adopted(value), call('r1.stage.s'))
      const later = plantedSecret()
      await liveByHand(later)
      const error = await safeErrorOf(
        store.promote(1, before?.storeVersion, call('r1.promote.s')),
        value,
        later,
      )
      expect(error.code).toBe('foreign_writer')
      expect((await liveValue())?.equals(later)).toBe(true)
    })

    test('is left alone by a staging that is cleared away again', async () => {
      const { store, liveByHand, liveValue } = given()
      const value = plantedSecret()
      await liveByHand(value)
      await store.stage(adopted(value), call('r1.stage.s'))
      await store.destroy(1, call('r1.destroy.s'))
      expect((await liveValue())?.equals(value)).toBe(true)
      expect((await store.readLive(call('live')))?.value.equals(value)).toBe(true)
    })

    test('is promoted over once, whatever answer is lost', async () => {
      const { store, another, faults, liveByHand, liveValue } = given()
      const value = plantedSecret()
      await liveByHand(value)
      const before = await another.readLive(call('live'))
      for (let nth = 1; nth <= 3; nth++) {
        faults.loseReply(nth)
        await untilSettled(() => store.stage(adopted(value), call('r1.stage.s')))
      }
      const versions = new Set<string>()
      for (let nth = 1; nth <= 3; nth++) {
        faults.loseReply(nth)
        versions.add(await untilSettled(() => store.promote(1, before?.storeVersion, call('r1.promote.s'))))
      }
      faults.heal()
      expect(versions.size).toBe(1)
      expect((await liveValue())?.equals(value)).toBe(true)
    })

    test('is another ledger’s where a Rekey made it, and is not adopted', async () => {
      const { store } = given()
      const value = plantedSecret()
      await live(store, adopted(value))
      const error = await safeErrorOf(store.readLive(call('live')), value)
      expect(error.code).toBe('not_adoptable')
    })

    test('is not there beside what somebody is about to change', async () => {
      const { store, liveByHand, foreignPending } = given()
      await liveByHand(plantedSecret())
      await foreignPending(1)
      // Only a store with labels shows that; the others see it when they stage.
      const seen = await store
        .readLive(call('live'))
        .then((found) => found && store.stage(adopted(found.value), call('r1.stage.s')))
        .catch((error) => error.code)
      expect(seen).toBe('foreign_writer')
    })
  })
}
