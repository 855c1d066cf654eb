import type { ErrorCode } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { expectNoLeak, safeErrorOf } from '../leak.ts'
import type { StoreFaults } from './faults.ts'
import { type Given, generationOf, live, untilSettled, verbs } from './given.ts'

type FaultName = Exclude<keyof StoreFaults, 'heal' | 'loseReply' | 'loseRequest' | 'meanwhile'>

const SAID: [fault: FaultName, sentence: string, codes: ErrorCode[]][] = [
  ['down', 'the server is away', ['backend_unavailable']],
  ['throttle', 'the server asks for fewer calls', ['throttled']],
  ['hang', 'the server does not answer', ['backend_timeout']],
  ['echo', 'the server answers an error that repeats what was sent', ['bad_response', 'backend_unavailable']],
]

export function testFailing(given: Given): void {
  describe('failing', () => {
    for (const fault of ['loseReply', 'loseRequest'] as const) {
      const lost = fault === 'loseReply' ? 'answer' : 'request'
      test.each([1, 2, 3, 4, 5, 6])(
        `settles to one effect when ${lost} %i of a rotation is lost`,
        async (nth) => {
          const { store, another, faults } = given()
          const first = await live(another, generationOf(1))
          const value = generationOf(2)
          faults[fault](nth)
          const staged = await untilSettled(() => store.stage(value, call('r2.stage.s')))
          const version = await untilSettled(() => store.promote(2, first, call('r2.promote.s')))
          faults.heal()
          expect(staged.value.equals(value.value)).toBe(true)
          expect(await another.readCurrent(call('read'))).toMatchObject({
            generation: 2,
            storeVersion: version,
          })
          const promoted = (await another.list(call('list'))).filter(
            (seen) => seen.generation === 2 && seen.storeVersion !== staged.storeVersion,
          )
          expect(promoted.length).toBeLessThanOrEqual(1)
        },
      )

      test.each([1, 2, 3, 4])(`settles a rollback when ${lost} %i is lost`, async (nth) => {
        const { store, another, faults } = given()
        const old = generationOf(1)
        const first = await live(another, old)
        const second = await live(another, generationOf(2), first)
        faults[fault](nth)
        const restored = await untilSettled(() => store.restore(old, call('r2.restore.s')))
        await untilSettled(() => store.destroy(2, call('r2.destroy.s')))
        faults.heal()
        expect(await another.restore(old, call('r2.restore.s'))).toBe(restored)
        expect([first, second]).not.toContain(restored)
        expect(await another.readCurrent(call('read'))).toMatchObject({
          generation: 1,
          storeVersion: restored,
        })
        expect(await another.read(2, call('read'))).toBeUndefined()
      })
    }

    test.each(SAID)(
      '%s: says so with a retryable error, in every verb, without a secret (%s)',
      async (...row) => {
        const [fault, , codes] = row
        const { store, another, faults } = given()
        const current = generationOf(1)
        const version = await live(another, current)
        const value = generationOf(2)
        await another.stage(value, call('r2.stage.s'))
        for (const [verb, run] of verbs(value, current, version)) {
          faults[fault]()
          const before = performance.now()
          const error = await safeErrorOf(run(store, call(`r2.${verb}.s`, 500)), value.value, current.value)
          expect(performance.now() - before, `${verb} outlived its deadline`).toBeLessThan(2_000)
          expect(codes, verb).toContain(error.code)
          expect(error.retryable).toBe(true)
          faults.heal()
        }
      },
    )

    test('gives away no secret when an answer is garbled', async () => {
      const { store, another, faults } = given()
      const current = generationOf(1)
      const version = await live(another, current)
      const value = generationOf(2)
      for (const [verb, run] of verbs(value, current, version)) {
        faults.garble()
        // A verb that needs nothing of the answer may take it for a success.
        const seen = await run(store, call(`r2.${verb}.s`, 500)).catch((error: unknown) => error)
        expectNoLeak(seen, value.value, current.value)
        faults.heal()
      }
    })

    test('has no effect after its deadline', async () => {
      const { store, another } = given()
      const version = await live(another, generationOf(1))
      const value = generationOf(2)
      const late = { key: 'late', signal: AbortSignal.abort() }
      for (const [, run] of verbs(value, generationOf(1), version)) {
        expect((await safeErrorOf(run(store, late), value.value)).code).toBe('backend_timeout')
      }
      expect(await another.read(2, call('read'))).toBeUndefined()
      expect(await another.readCurrent(call('read'))).toMatchObject({ generation: 1, storeVersion: version })
    })

    test('says what is wrong with a wrong target, and that a retry will not help', async ({ skip }) => {
      const { elsewhere } = given()
      if (!elsewhere) return skip('this store has no wrong target')
      const value = generationOf(1)
      const error = await safeErrorOf(elsewhere.stage(value, call('r1.stage.s')), value.value)
      expect(['permission_denied', 'not_found']).toContain(error.code)
      const read = await safeErrorOf(elsewhere.readCurrent(call('read')))
      expect(['permission_denied', 'not_found']).toContain(read.code)
    })
  })
}
