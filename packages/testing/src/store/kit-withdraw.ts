import type { Store } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { safeErrorOf } from '../leak.ts'
import { type Given, generationOf, live, untilSettled } from './given.ts'

/** More than any store needs for one withdrawal. */
const REQUESTS = [1, 2, 3, 4, 5, 6, 7, 8]

/** Generation 1 is what readers get, 2 is staged and waits. */
async function ready(store: Store) {
  const old = generationOf(1)
  const first = await live(store, old)
  await store.stage(generationOf(2), call('r2.stage.s'))
  return { old, first }
}

export function testWithdrawing(given: Given): void {
  describe('withdrawing', () => {
    test('lets readers find nothing, and keeps the value for whoever asks by generation', async () => {
      const { store, another } = given()
      const { old, first } = await ready(store)
      expect(await store.withdraw(1, call('r2.withdraw.s'))).not.toBe(first)
      expect(await another.readCurrent(call('read'))).toBeUndefined()
      expect((await another.read(1, call('read')))?.value.equals(old.value)).toBe(true)
      const current = (await store.list(call('list'))).find((seen) => seen.labels.includes('current'))
      expect(current?.generation).toBeUndefined()
    })

    test('returns the version that the next promotion replaces, and no other', async () => {
      const { store } = given()
      const { old, first } = await ready(store)
      const withdrawn = await store.withdraw(1, call('r2.withdraw.s'))
      for (const expected of [first, undefined]) {
        const error = await safeErrorOf(store.promote(2, expected, call('r2.promote.s')))
        expect(error.code).toBe('foreign_writer')
      }
      expect(await store.readCurrent(call('read'))).toBeUndefined()
      const second = await store.promote(2, withdrawn, call('r2.promote.s'))
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 2, storeVersion: second })
      // It may be tried once more, now that there is a control.
      expect((await store.read(1, call('read')))?.value.equals(old.value)).toBe(true)
    })

    test('writes nothing where readers get another generation', async () => {
      const { store } = given()
      const first = await live(store, generationOf(1))
      const second = await live(store, generationOf(2), first)
      const before = await store.list(call('list'))
      expect(await store.withdraw(1, call('r2.withdraw.s'))).toBeUndefined()
      expect(await store.withdraw(3, call('r3.withdraw.s'))).toBeUndefined()
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 2, storeVersion: second })
      expect(await store.list(call('list'))).toEqual(before)
      await live(store, generationOf(3), second)
    })

    test('writes nothing where readers get nothing, or what somebody wrote by hand', async () => {
      const { store, foreignCurrent } = given()
      expect(await store.withdraw(1, call('r1.withdraw.s'))).toBeUndefined()
      await store.stage(generationOf(1), call('r1.stage.s'))
      expect(await store.withdraw(1, call('r1.withdraw.s'))).toBeUndefined()
      await store.promote(1, undefined, call('r1.promote.s'))
      await foreignCurrent()
      expect(await store.withdraw(1, call('r1.withdraw.s'))).toBeUndefined()
      expect((await safeErrorOf(store.readCurrent(call('read')))).code).toBe('foreign_writer')
    })

    test('writes once for one call, and never blanks what was promoted since', async () => {
      const { store, another } = given()
      await ready(store)
      const withdrawn = await store.withdraw(1, call('r2.withdraw.s'))
      expect(await store.withdraw(1, call('r2.withdraw.s'))).toBe(withdrawn)
      const second = await store.promote(2, withdrawn, call('r2.promote.s'))
      const third = await live(store, generationOf(3), second)
      expect(await another.withdraw(1, call('r2.withdraw.s'))).toBe(withdrawn)
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 3, storeVersion: third })
    })

    test('makes one version when several workers withdraw at the same time', async () => {
      const { store, another } = given()
      await ready(store)
      const versions = await Promise.all(
        [store, another, store, another].map((each) => each.withdraw(1, call('r2.withdraw.s'))),
      )
      expect(new Set(versions).size).toBe(1)
      expect(await store.withdraw(1, call('r3.withdraw.s'))).toBeUndefined()
      await store.promote(2, versions[0], call('r2.promote.s'))
    })

    test.each(REQUESTS)('settles with a promotion that slips in before its request %i', async (nth) => {
      const { store, another, faults } = given()
      const { first } = await ready(another)
      const promote = () => another.promote(2, first, call('r2.promote.s'))
      let early: unknown
      faults.meanwhile(nth, async () => {
        early = await promote().catch(() => undefined)
      })
      const withdrawn = await store.withdraw(1, call('r2.withdraw.s'))
      faults.heal()
      // Whichever came first: the new value is never blanked, and the late one never overwrites.
      expect(withdrawn === undefined).toBe(early !== undefined)
      if (withdrawn === undefined) {
        expect(await another.readCurrent(call('read'))).toMatchObject({ generation: 2, storeVersion: early })
        return
      }
      expect((await safeErrorOf(promote())).code).toBe('foreign_writer')
      expect(await another.readCurrent(call('read'))).toBeUndefined()
    })

    test.each(REQUESTS)('is one with the same call of another worker before its request %i', async (nth) => {
      const { store, another, faults } = given()
      await ready(another)
      let other: unknown
      faults.meanwhile(nth, async () => {
        other = await another.withdraw(1, call('r2.withdraw.s'))
      })
      const withdrawn = await store.withdraw(1, call('r2.withdraw.s'))
      faults.heal()
      expect(other ?? withdrawn).toBe(withdrawn)
      expect(await another.readCurrent(call('read'))).toBeUndefined()
      await another.promote(2, withdrawn, call('r2.promote.s'))
    })

    for (const fault of ['loseReply', 'loseRequest'] as const) {
      const lost = fault === 'loseReply' ? 'answer' : 'request'
      test.each(REQUESTS)(`settles to one effect when ${lost} %i is lost`, async (nth) => {
        const { store, another, faults } = given()
        await ready(another)
        faults[fault](nth)
        const withdrawn = await untilSettled(() => store.withdraw(1, call('r2.withdraw.s')))
        faults.heal()
        expect(await another.withdraw(1, call('r2.withdraw.s'))).toBe(withdrawn)
        expect(await another.readCurrent(call('read'))).toBeUndefined()
        const second = await another.promote(2, withdrawn, call('r2.promote.s'))
        expect(await another.withdraw(1, call('r2.withdraw.s'))).toBe(withdrawn)
        expect(await another.readCurrent(call('read'))).toMatchObject({
          generation: 2,
          storeVersion: second,
        })
      })
    }

    test('is not undone by a late promotion of what it withdrew', async () => {
      const { store, another } = given()
      const { first } = await ready(store)
      await store.withdraw(1, call('r2.withdraw.s'))
      for (const expected of [undefined, first]) {
        const error = await safeErrorOf(another.promote(1, expected, call('r1.promote.s')))
        expect(error.code).toBe('foreign_writer')
      }
      expect(await store.readCurrent(call('read'))).toBeUndefined()
    })

    test('lets the generation be destroyed, and readers still find nothing', async () => {
      const { store } = given()
      await ready(store)
      const withdrawn = await store.withdraw(1, call('r2.withdraw.s'))
      await store.destroy(1, call('r2.destroy.s'))
      expect(await store.read(1, call('read'))).toBeUndefined()
      expect((await store.list(call('list'))).map((seen) => seen.generation)).not.toContain(1)
      expect(await store.readCurrent(call('read'))).toBeUndefined()
      await store.promote(2, withdrawn, call('r2.promote.s'))
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 2 })
    })

    test('lets an older generation be restored, and never blanks that', async () => {
      const { store } = given()
      const { old, first } = await ready(store)
      await store.promote(2, first, call('r2.promote.s'))
      const withdrawn = await store.withdraw(2, call('r2.withdraw.s'))
      const base = await store.read(1, call('read'))
      expect(base?.value.equals(old.value)).toBe(true)
      const restored = await store.restore(old, call('r2.restore.s'))
      expect(await store.withdraw(2, call('r2.withdraw.s'))).toBe(withdrawn)
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: restored })
      await store.destroy(2, call('r2.destroy.s'))
      await live(store, generationOf(3), restored)
    })

    test('withdraws what was restored, and a repeat leaves what was restored again', async () => {
      const { store } = given()
      const { old, first } = await ready(store)
      await store.promote(2, first, call('r2.promote.s'))
      await store.restore(old, call('r2.restore.s'))
      const withdrawn = await store.withdraw(1, call('r3.withdraw.s'))
      expect(withdrawn).toBeDefined()
      expect(await store.readCurrent(call('read'))).toBeUndefined()
      expect(await store.read(1, call('read'))).toMatchObject({ generation: 1 })
      const again = await store.restore(old, call('r4.restore.s'))
      expect(await store.withdraw(1, call('r3.withdraw.s'))).toBe(withdrawn)
      expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: again })
    })
  })
}
