import type { StoredValue } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { safeErrorOf } from '../leak.ts'
import { eachRequest, type Given, on, secretIn, settlesTo } from './given.ts'
import { mintingOf, mintKept, namesAt, untilDone } from './minting.ts'
import { fill } from './values.ts'

/** Where the provider makes the value: it shows it once, and what nobody could keep must not stay. */
export function testMinting(given: Given): void {
  type Skip = (why: string) => void
  const testMinted = (name: string, run: (skip: Skip) => Promise<void>) =>
    test(name, async ({ skip }) => {
      if (!given().provider) return skip('Rekey makes the values')
      await run(skip)
    })

  /** The generations that are in use, all that the provider has of them, and nothing else. */
  const expectOnly = async (...values: StoredValue[]) => {
    expect(await namesAt(given())).toEqual(values.map(({ keyId }) => keyId).toSorted())
    for (const value of values) {
      await on(given().another).install(value)
      await settlesTo(given(), value, 'accepted')
    }
  }

  /** The generation in use while the next one is minted, where there is room for both. */
  const beside = async () => (given().authority.slots > 1 ? [await mintKept(given(), 1)] : [])

  describe('minting', () => {
    testMinted('makes another value each time, with at least 128 bits, under a name of its own', async () => {
      const values = await fill(given())
      const secrets = values.map((value) => secretIn(given(), value).reveal())
      expect(new Set(secrets).size).toBe(values.length)
      for (const secret of secrets) expect(secret.length).toBeGreaterThanOrEqual(22)
      await expectOnly(...values)
      expect(JSON.stringify(await namesAt(given()))).not.toContain(secrets[0])
    })

    testMinted('refuses one more than it has slots for, and changes nothing', async () => {
      const values = await fill(given())
      const { attempt } = mintingOf(given(), given().authority.slots + 1)
      const secrets = values.map((value) => secretIn(given(), value))
      expect((await safeErrorOf(attempt(given().authority), ...secrets)).code).toBe('not_allowed_now')
      await expectOnly(...values)
    })

    for (const fault of ['loseReply', 'loseRequest'] as const) {
      const lost = fault === 'loseReply' ? 'answer' : 'request'
      const each = eachRequest(8)
      for (const nth of each.numbers)
        testMinted(`leaves one value and no orphan when its ${lost} ${nth} is lost`, async () => {
          if (!each.isThere(nth)) return
          const { authority, another, faults } = given()
          const first = await beside()
          const { attempt } = mintingOf(given(), 2)
          faults[fault](nth)
          await attempt(authority).catch(() => undefined)
          each.counted(nth, faults.requests())
          faults.heal()
          await expectOnly(...first, await untilDone(() => attempt(another)))
        })
    }

    testMinted('leaves one value and no orphan when a worker died before it could keep its own', async () => {
      const { authority, another, provider } = given()
      const first = await beside()
      const { attempt, dieAfterMint } = mintingOf(given(), 2)
      const lost = await dieAfterMint(authority)
      const kept = await untilDone(() => attempt(another))
      await expectOnly(...first, kept)
      if (provider?.sameAgain) expect(kept.value.equals(lost.value)).toBe(true)
      else await settlesTo(given(), lost, 'refused')
    })

    testMinted('leaves one value and no orphan when two workers make it at once', async () => {
      const { authority, another } = given()
      const first = await beside()
      const { attempt } = mintingOf(given(), 2)
      await Promise.all([authority, another].map((by) => untilDone(() => attempt(by)).catch(() => undefined)))
      await expectOnly(...first, await untilDone(() => attempt(another)))
    })

    const paused = eachRequest(8)
    for (const nth of paused.numbers)
      testMinted(
        `does not end what was kept while a worker was paused before its request ${nth}`,
        async () => {
          if (!paused.isThere(nth)) return
          const { authority, another, faults } = given()
          const first = await beside()
          const { attempt } = mintingOf(given(), 2)
          faults.meanwhile(nth, () => untilDone(() => attempt(another)))
          await untilDone(() => attempt(authority)).catch((error: unknown) =>
            expect(error).toMatchObject({ code: 'not_allowed_now' }),
          )
          paused.counted(nth, faults.requests())
          faults.heal()
          await expectOnly(...first, await untilDone(() => attempt(another)))
        },
      )

    testMinted('has no effect after its deadline', async () => {
      const { authority } = given()
      const first = await beside()
      const late = on(authority, { signal: AbortSignal.abort() })
      const error = await safeErrorOf(late.mint(await namesAt(given()), 2))
      expect(error.code).toBe('backend_timeout')
      await expectOnly(...first)
    })
  })

  describe('what somebody else made', () => {
    const testBeside = (name: string, run: (skip: Skip) => Promise<void>) =>
      testMinted(name, async (skip) => {
        if (given().authority.slots === 1) return skip('it has room for one value only')
        await run(skip)
      })

    testBeside('before is never ended', async () => {
      const { authority, provider } = given()
      const theirs = await provider?.foreignMint()
      const value = await mintKept(given(), 1)
      expect(await namesAt(given())).toEqual([theirs, value.keyId].toSorted())
      await on(authority).revoke(1)
      expect(await namesAt(given())).toEqual([theirs])
    })

    testBeside('meanwhile is not taken for what could not be kept', async (skip) => {
      const { authority, another, provider } = given()
      if (!provider?.tellsForeign) return skip('this authority cannot tell the two apart')
      const { attempt, dieAfterMint } = mintingOf(given(), 1)
      const lost = await dieAfterMint(authority)
      const theirs = await provider.foreignMint()
      const value = await untilDone(() => attempt(another))
      expect(await namesAt(given())).toEqual([theirs, value.keyId].toSorted())
      await settlesTo(given(), lost, 'refused')
    })

    testMinted('is what is in use, though nobody here has it: it is left alone', async (skip) => {
      const { authority, another, provider } = given()
      if (!provider?.use) return skip('this authority shows a use too late')
      const { attempt, dieAfterMint } = mintingOf(given(), 1)
      const { value, keyId } = await dieAfterMint(authority)
      await provider.use(value)
      const error = await safeErrorOf(attempt(another), secretIn(given(), { generation: 1, value, keyId }))
      expect(error.code).toBe('foreign_writer')
      expect(await namesAt(given())).toEqual([keyId])
      await settlesTo(given(), { value }, 'accepted')
    })
  })

  describe('discarding', () => {
    testMinted('ends what was not kept, and nothing else; twice is once', async () => {
      const { authority, another } = given()
      const first = await beside()
      const lost = await mintingOf(given(), 2).dieAfterMint(another)
      await Promise.all([authority, another].map((each) => on(each).discard(lost.keyId)))
      await on(authority).discard(lost.keyId)
      await expectOnly(...first)
      await settlesTo(given(), lost, 'refused')
    })
  })

  describe('a value that is gone already', () => {
    testMinted('is revoked, and nothing brings it back', async () => {
      const { authority, another } = given()
      const value = await mintKept(given(), 1)
      await on(another).discard(value.keyId)
      await on(authority).revoke(1)
      await authority.suspend?.(1, { key: 'r.suspend.g1', signal: AbortSignal.timeout(5_000) })
      const error = await safeErrorOf(on(authority).install(value), secretIn(given(), value))
      expect(error.code).toBe('not_allowed_now')
      expect(await namesAt(given())).toEqual([])
    })
  })

  describe('the last use', () => {
    testMinted('is said from the first use on', async (skip) => {
      const { authority, provider } = given()
      if (!authority.lastUsed) return skip('this authority does not say it')
      const lastUsed = async () =>
        authority.lastUsed?.(1, { key: 'r.look.g1', signal: AbortSignal.timeout(5_000) })
      expect(await lastUsed()).toBeNull()
      const { value } = await mintKept(given(), 1)
      expect(await lastUsed()).toBeNull()
      if (!provider?.use) return skip('this authority shows a use too late')
      const before = Date.now()
      await provider.use(value)
      expect(await lastUsed()).toBeGreaterThanOrEqual(before - 1_000)
    })
  })
}
