import { describe, expect, test } from 'vitest'
import { safeErrorOf } from '../leak.ts'
import { untilSettled } from '../store/given.ts'
import {
  type AuthorityUnderTest,
  eachRequest,
  type Given,
  on,
  ourValue,
  secretIn,
  settlesTo,
} from './given.ts'
import { fill, valueFor } from './values.ts'

export function testEnding(given: Given): void {
  describe('suspending', () => {
    /** Only where the authority can refuse reversibly. */
    const testSuspending = (name: string, run: () => Promise<void>) =>
      test(name, async ({ skip }) => {
        const { authority } = given()
        if (!authority.suspend || !authority.reinstate) return skip('this authority cannot suspend')
        await run()
      })

    testSuspending('refuses the value until it is reinstated', async () => {
      const { authority } = given()
      const value = await valueFor(given(), 1)
      await on(authority).install(value)
      await on(authority).suspend(1)
      await settlesTo(given(), value, 'refused')
      await on(authority).reinstate(1)
      await settlesTo(given(), value, 'accepted')
    })

    testSuspending('has the effect of one when either is repeated, also by two workers at once', async () => {
      const { authority, another } = given()
      const value = await valueFor(given(), 1)
      await on(authority).install(value)
      for (const [verb, verdict] of [
        ['suspend', 'refused'],
        ['reinstate', 'accepted'],
      ] as const) {
        await Promise.all([authority, another].map((each) => on(each)[verb](1)))
        await on(another)[verb](1)
        await settlesTo(given(), value, verdict)
      }
    })

    testSuspending('leaves other generations alone, and keeps the slot', async () => {
      const { authority } = given()
      const values = await fill(given())
      await on(authority).suspend(1)
      for (const value of values.slice(1)) await settlesTo(given(), value, 'accepted')
      expect((await oneMore(given())).code).toBe('not_allowed_now')
    })

    testSuspending('succeeds where there is nothing to do', async () => {
      const { authority } = given()
      await on(authority).suspend(7)
      const value = await valueFor(given(), 1)
      await on(authority).install(value)
      await on(authority).reinstate(1)
      await settlesTo(given(), value, 'accepted')
    })

    testSuspending('is not undone by an installation that comes late', async () => {
      const { authority, another } = given()
      const value = await valueFor(given(), 1)
      await on(authority).install(value)
      await on(authority).suspend(1)
      const error = await safeErrorOf(on(another).install(value), secretIn(given(), value))
      expect(error.code).toBe('not_allowed_now')
      await settlesTo(given(), value, 'refused')
    })
  })

  describe('revoking', () => {
    test('ends the value, leaves the others alone and frees its slot', async () => {
      const { authority } = given()
      const [first, ...others] = await fill(given())
      if (!first) throw new Error('an authority without slots')
      await on(authority).revoke(1)
      await settlesTo(given(), first, 'refused')
      for (const other of others) await settlesTo(given(), other, 'accepted')
      const more = await valueFor(given(), authority.slots + 1)
      await on(authority).install(more)
      await settlesTo(given(), more, 'accepted')
    })

    test('succeeds when repeated, also by two workers at once', async () => {
      const { authority, another } = given()
      const value = await valueFor(given(), 1)
      await on(authority).install(value)
      await Promise.all([authority, another].map((each) => on(each).revoke(1)))
      await on(another).revoke(1)
      await settlesTo(given(), value, 'refused')
    })

    test('succeeds where the generation was never there, and keeps it out', async () => {
      const { authority, another } = given()
      await on(authority).revoke(1)
      if (authority.valueFrom === 'us') {
        const value = ourValue(given(), 1)
        expect((await safeErrorOf(on(another).install(value), value.value)).code).toBe('not_allowed_now')
        await settlesTo(given(), value, 'refused')
      }
      await on(authority).install(await valueFor(given(), 2))
    })

    test('is for good: no installation that comes late brings it back', async () => {
      const { authority, another } = given()
      const value = await valueFor(given(), 1)
      await on(authority).install(value)
      await on(authority).revoke(1)
      for (const late of [value, ...(authority.valueFrom === 'us' ? [ourValue(given(), 1)] : [])]) {
        const error = await safeErrorOf(on(another).install(late), secretIn(given(), late))
        expect(error.code).toBe('not_allowed_now')
        await settlesTo(given(), late, 'refused')
      }
    })

    const each = eachRequest(8)
    test.each(each.numbers)('is not undone by an installation paused before its request %i', async (nth) => {
      if (!each.isThere(nth)) return
      const { authority, another, faults } = given()
      const value = await valueFor(given(), 1)
      let revoked = false
      faults.meanwhile(nth, async () => {
        revoked = true
        await on(another).revoke(1)
      })
      await untilSettled(() => on(authority).install(value)).catch((error: unknown) =>
        expect(error).toMatchObject({ code: 'not_allowed_now' }),
      )
      each.counted(nth, faults.requests())
      faults.heal()
      if (!revoked) await on(another).revoke(1)
      await settlesTo(given(), value, 'refused')
    })

    test('ends what was suspended, and nothing that comes late revives it', async ({ skip }) => {
      const { authority, another } = given()
      if (!authority.suspend || !authority.reinstate) return skip('this authority cannot suspend')
      const value = await valueFor(given(), 1)
      await on(authority).install(value)
      await on(authority).suspend(1)
      await on(authority).revoke(1)
      expect((await safeErrorOf(on(another).reinstate(1))).code).toBe('not_allowed_now')
      await on(another).suspend(1)
      await settlesTo(given(), value, 'refused')
    })
  })
}

/** The error of one generation more than it has slots for: where it is made, or where it is installed. */
async function oneMore(given: AuthorityUnderTest) {
  const generation = given.authority.slots + 1
  if (given.provider) return safeErrorOf(valueFor(given, generation))
  const more = ourValue(given, generation)
  return safeErrorOf(on(given.authority).install(more), more.value)
}
