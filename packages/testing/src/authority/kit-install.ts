import type { Authority, Secret } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { safeErrorOf } from '../leak.ts'
import { generationOf } from '../store/given.ts'
import { type Given, on, ourValue, secretIn, settlesTo } from './given.ts'
import { fill, valueFor } from './values.ts'

export function testInstalling(given: Given): void {
  /** Only where we make the values: there nothing is accepted before it is installed. */
  const testOurs = (name: string, run: () => Promise<void>) =>
    test(name, async ({ skip }) => {
      if (given().authority.valueFrom !== 'us') return skip('the provider makes the values')
      await run()
    })

  describe('installing', () => {
    testOurs('makes the value accepted, which was refused before', async () => {
      const { authority } = given()
      const value = ourValue(given(), 1)
      await settlesTo(given(), value, 'refused')
      await on(authority).install(value)
      await settlesTo(given(), value, 'accepted')
      await settlesTo(given(), ourValue(given(), 1), 'refused')
    })

    test('accepts as many generations at once as it says, side by side', async () => {
      for (const value of await fill(given())) await settlesTo(given(), value, 'accepted')
    })

    test('has the effect of one when it is repeated, also by two workers at once', async () => {
      const { authority, another } = given()
      const values = []
      for (let n = 1; n <= authority.slots; n++) values.push(await valueFor(given(), n))
      for (const value of values) {
        await Promise.all([authority, another, authority].map((each) => on(each).install(value)))
        await on(another).install(value)
      }
      // One slot each: else the last of them would have found none.
      for (const value of values) await settlesTo(given(), value, 'accepted')
    })

    testOurs('refuses one more than it has slots for, and changes nothing', async () => {
      const { authority } = given()
      const values = await fill(given())
      const more = ourValue(given(), authority.slots + 1)
      const error = await safeErrorOf(on(authority).install(more), more.value)
      expect(error.code).toBe('not_allowed_now')
      await settlesTo(given(), more, 'refused')
      for (const value of values) await settlesTo(given(), value, 'accepted')
    })

    testOurs('refuses another value for a generation that it has', async () => {
      const { authority, another } = given()
      const first = ourValue(given(), 1)
      await on(authority).install(first)
      const second = ourValue(given(), 1)
      const error = await safeErrorOf(on(another).install(second), first.value, second.value)
      expect(error.code).toBe('foreign_writer')
      await settlesTo(given(), first, 'accepted')
      await settlesTo(given(), second, 'refused')
    })

    testOurs('refuses where somebody else has put something, and leaves it there', async () => {
      const { authority, foreignInstall } = given()
      if (!foreignInstall) throw new Error('the kit needs somebody else who installs')
      const theirs = ourValue(given(), 1)
      await foreignInstall(theirs)
      const ours = ourValue(given(), 1)
      const error = await safeErrorOf(on(authority).install(ours), theirs.value, ours.value)
      expect(error.code).toBe('foreign_writer')
      await settlesTo(given(), theirs, 'accepted')
    })

    test('says of a value that does not suit it that another one is needed, and keeps the slot free', async ({
      skip,
    }) => {
      const { authority, unsuitable } = given()
      if (authority.valueFrom !== 'us') return skip('the provider makes the values')
      if (!unsuitable) return skip('this authority takes every value')
      const value = generationOf(1, unsuitable)
      expect((await safeErrorOf(on(authority).install(value), unsuitable)).code).toBe('value_refused')
      await settlesTo(given(), value, 'refused')
      await fill(given())
    })
  })

  describe('making', () => {
    testOurs('makes another value each time, with at least 128 bits', async () => {
      const { authority } = given()
      const values: string[] = []
      for (let n = 0; n < 20; n++) values.push((await made(authority)).reveal())
      expect(new Set(values).size).toBe(20)
      // No text holds more than 8 bits a character, and no sound one fewer than 4.
      for (const value of values) expect(value.length).toBeGreaterThanOrEqual(22)
    })

    testOurs('makes values that it takes', async () => {
      const { authority } = given()
      const value = generationOf(1, await made(authority))
      await on(authority).install(value)
      await settlesTo(given(), value, 'accepted')
    })
  })

  describe('probing', () => {
    test('names each endpoint once, and says no more of what it saw than a word', async () => {
      const { authority } = given()
      const value = await valueFor(given(), 1)
      await on(authority).install(value)
      const seen = await authority.probe(value.value, call('probe'))
      expect(seen.length).toBeGreaterThan(0)
      expect(new Set(seen.map((one) => one.endpoint)).size).toBe(seen.length)
      for (const one of seen) expect(one.seen).toMatch(/^[\w .-]{1,60}$/)
      expect(JSON.stringify(seen)).not.toContain(secretIn(given(), value).reveal())
    })
  })
}

async function made({ kind, make }: Authority): Promise<Secret> {
  if (!make) throw new Error(`${kind} makes no values`)
  return make(1, call('make'))
}
