import type { Authority, ErrorCode, StoredValue } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { safeErrorOf } from '../leak.ts'
import { untilSettled } from '../store/given.ts'
import { type AuthorityFaults, eachRequest, type Given, on, ourValue, secretIn, settlesTo } from './given.ts'
import { namesAt } from './minting.ts'
import { valueFor } from './values.ts'

type FaultName = Extract<keyof AuthorityFaults, 'down' | 'throttle' | 'hang'>

const SAID: [fault: FaultName, code: ErrorCode][] = [
  ['down', 'backend_unavailable'],
  ['throttle', 'throttled'],
  ['hang', 'backend_timeout'],
]

type Verbs = [
  verb: 'install' | 'suspend' | 'reinstate' | 'revoke' | 'list' | 'mint' | 'keep' | 'discard',
  run: () => Promise<unknown>,
][]

/** Every verb that it has, on generation 1; only what is installed is the caller's choice. */
function verbs(
  authority: Authority,
  value: StoredValue,
  known: readonly string[],
  bound: () => AbortSignal,
): Verbs {
  const does = () => on(authority, { signal: bound() })
  const all: Verbs = [
    ['install', () => does().install(value)],
    ['suspend', () => does().suspend(1)],
    ['reinstate', () => does().reinstate(1)],
    ['revoke', () => does().revoke(1)],
    ['list', () => does().list()],
    ['mint', () => does().mint(known, 2)],
    ['keep', () => does().keep(value.keyId)],
    ['discard', () => does().discard(value.keyId)],
  ]
  return all.filter(([verb]) => authority[verb])
}

export function testFailing(given: Given): void {
  describe('failing', () => {
    for (const fault of ['loseReply', 'loseRequest'] as const) {
      const lost = fault === 'loseReply' ? 'answer' : 'request'
      const each = eachRequest(8)
      test.each(each.numbers)(`settles every verb to one effect when its ${lost} %i is lost`, async (nth) => {
        if (!each.isThere(nth)) return
        const { authority, another, faults } = given()
        let most = 0
        const does = on(authority)
        const value = await valueFor(given(), 1)
        const through = async (run: () => Promise<void>) => {
          faults[fault](nth)
          await untilSettled(run)
          most = Math.max(most, faults.requests())
          faults.heal()
        }
        await through(() => does.install(value))
        await settlesTo(given(), value, 'accepted')
        if (authority.suspend && authority.reinstate) {
          await through(() => does.suspend(1))
          await settlesTo(given(), value, 'refused')
          await through(() => does.reinstate(1))
          await settlesTo(given(), value, 'accepted')
        }
        await through(() => does.revoke(1))
        await settlesTo(given(), value, 'refused')
        each.counted(nth, most)
        // Nothing of it is left in a slot.
        for (let n = 0; n < authority.slots; n++) await on(another).install(await valueFor(given(), 2 + n))
      })
    }

    test.each(SAID)('%s: says so with a retryable error, in every verb, without a secret', async (...row) => {
      const [fault, code] = row
      const { authority, another, faults } = given()
      const value = await valueFor(given(), 1)
      await on(another).install(value)
      const known = await namesAt(given())
      for (const [verb, run] of verbs(authority, value, known, () => AbortSignal.timeout(300))) {
        faults[fault]()
        const before = performance.now()
        const error = await safeErrorOf(run(), secretIn(given(), value))
        expect(performance.now() - before, `${verb} outlived its deadline`).toBeLessThan(2_000)
        expect(error.code, verb).toBe(code)
        expect(error.retryable).toBe(true)
        faults.heal()
      }
    })

    test.each(SAID)('%s: a probe shows nothing, and is no refusal', async (fault) => {
      const { authority, another, faults } = given()
      const value = await valueFor(given(), 1)
      await on(another).install(value)
      faults[fault]()
      const signal = AbortSignal.timeout(300)
      for (const tried of [value, ...(authority.valueFrom === 'us' ? [ourValue(given(), 1)] : [])]) {
        const seen = await authority.probe(tried.value, { key: 'probe', signal })
        expect(seen.length).toBeGreaterThan(0)
        expect(new Set(seen.map((one) => one.verdict))).toEqual(new Set(['unknown']))
        expect(JSON.stringify(seen)).not.toContain(secretIn(given(), tried).reveal())
      }
    })

    test('has no effect after its deadline', async () => {
      const { authority, another } = given()
      const current = await valueFor(given(), 1)
      await on(another).install(current)
      const known = await namesAt(given())
      const value = authority.valueFrom === 'us' ? ourValue(given(), 2) : current
      for (const [, run] of verbs(authority, value, known, () => AbortSignal.abort())) {
        expect((await safeErrorOf(run(), secretIn(given(), value))).code).toBe('backend_timeout')
      }
      await settlesTo(given(), current, 'accepted')
      if (value !== current) await settlesTo(given(), value, 'refused')
      expect(await namesAt(given())).toEqual(known)
    })
  })
}
