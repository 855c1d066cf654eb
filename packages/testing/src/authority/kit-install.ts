import { describe, expect, test } from 'vitest'
import { call } from '../call.ts'
import { safeErrorOf } from '../leak.ts'
import { generationOf } from '../store/given.ts'
import { fill, type Given, on, settlesTo } from './given.ts'

export function testInstalling(given: Given): void {
  describe('installing', () => {
    test('makes the value accepted, which was refused before', async () => {
      const { authority } = given()
      const value = generationOf(1)
      await settlesTo(given(), value, 'refused')
      await on(authority).install(value)
      await settlesTo(given(), value, 'accepted')
      await settlesTo(given(), generationOf(1), 'refused')
    })

    test('accepts as many generations at once as it says, side by side', async () => {
      for (const value of await fill(given().authority)) await settlesTo(given(), value, 'accepted')
    })

    test('has the effect of one when it is repeated, also by two workers at once', async () => {
      const { authority, another } = given()
      const values = Array.from({ length: authority.slots }, (_, n) => generationOf(n + 1))
      for (const value of values) {
        await Promise.all([authority, another, authority].map((each) => on(each).install(value)))
        await on(another).install(value)
      }
      // One slot each: else the last of them would have found none.
      for (const value of values) await settlesTo(given(), value, 'accepted')
    })

    test('refuses one more than it has slots for, and changes nothing', async () => {
      const { authority } = given()
      const values = await fill(authority)
      const more = generationOf(authority.slots + 1)
      const error = await safeErrorOf(on(authority).install(more), more.value)
      expect(error.code).toBe('not_allowed_now')
      await settlesTo(given(), more, 'refused')
      for (const value of values) await settlesTo(given(), value, 'accepted')
    })

    test('refuses another value for a generation that it has', async () => {
      const { authority, another } = given()
      const first = generationOf(1)
      await on(authority).install(first)
      const second = generationOf(1)
      const error = await safeErrorOf(on(another).install(second), first.value, second.value)
      expect(error.code).toBe('foreign_writer')
      await settlesTo(given(), first, 'accepted')
      await settlesTo(given(), second, 'refused')
    })

    test('refuses where somebody else has put something, and leaves it there', async () => {
      const { authority, foreignInstall } = given()
      const theirs = generationOf(1)
      await foreignInstall(theirs)
      const ours = generationOf(1)
      const error = await safeErrorOf(on(authority).install(ours), theirs.value, ours.value)
      expect(error.code).toBe('foreign_writer')
      await settlesTo(given(), theirs, 'accepted')
    })

    test('says of a value that does not suit it that another one is needed, and keeps the slot free', async ({
      skip,
    }) => {
      const { authority, unsuitable } = given()
      if (!unsuitable) return skip('this authority takes every value')
      const value = generationOf(1, unsuitable)
      expect((await safeErrorOf(on(authority).install(value), unsuitable)).code).toBe('value_refused')
      await settlesTo(given(), value, 'refused')
      await fill(authority)
    })
  })

  describe('making', () => {
    test('makes another value each time, with at least 128 bits', () => {
      const { authority } = given()
      const values = Array.from({ length: 100 }, () => authority.make().reveal())
      expect(new Set(values).size).toBe(100)
      // No text holds more than 8 bits a character, and no sound one fewer than 4.
      for (const value of values) expect(value.length).toBeGreaterThanOrEqual(22)
    })

    test('makes values that it takes', async () => {
      const { authority } = given()
      const value = generationOf(1, authority.make())
      await on(authority).install(value)
      await settlesTo(given(), value, 'accepted')
    })
  })

  describe('probing', () => {
    test('names each endpoint once, and says no more of what it saw than a word', async () => {
      const { authority } = given()
      const value = generationOf(1)
      await on(authority).install(value)
      const seen = await authority.probe(value.value, call('probe'))
      expect(seen.length).toBeGreaterThan(0)
      expect(new Set(seen.map((one) => one.endpoint)).size).toBe(seen.length)
      for (const one of seen) expect(one.seen).toMatch(/^[\w .-]{1,60}$/)
      expect(JSON.stringify(seen)).not.toContain(value.value.reveal())
    })
  })
}
