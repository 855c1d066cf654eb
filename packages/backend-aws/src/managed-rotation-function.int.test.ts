import { RekeyError, Secret } from '@rekey/contracts'
import { ROTATION_STEPS, type RotationStep } from '@rekey/local'
import { safeErrorOf } from '@rekey/testing'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { callOf, type GivenOptions, givenRotatedSecret } from '../test/given-rotated-secret.ts'

const stack = inject('stack')

async function given(options: GivenOptions = {}) {
  const made = await givenRotatedSecret(stack, { followMs: 2_500, ...options })
  onTestFinished(() => made.close())
  const { another, keep, secret } = made
  const mint = async (generation: number, urgent = false) => {
    const minted = await another.mint([], callOf(`r.stage.g${generation}`, urgent), generation)
    return { generation, ...minted }
  }
  /** As a rotation does it, up to where clients use it. */
  const bringUp = async (generation: number) => {
    const value = await mint(generation)
    keep(value)
    await another.install(value, callOf(`r.install.g${generation}`))
    await another.show(generation, callOf(`r.promote.g${generation}`))
    return value
  }
  /** As the ledger has it tried again. */
  const until = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let turn = 1; ; turn++)
      try {
        return await work()
      } catch (error) {
        if (turn === 10 || !RekeyError.is(error) || !error.retryable) throw error
      }
  }
  const verdictOf = async ({ value }: Pick<Awaited<ReturnType<typeof mint>>, 'value'>) =>
    (await another.probe(value, callOf('probe')))[0]?.verdict
  return { ...made, mint, bringUp, until, verdictOf, fn: secret.fn }
}

/** Of a login; its other fields may be said. */
const secretOf = ({ value }: { value: Secret }) => Secret.of(JSON.parse(value.reveal()).password)

/** What can be seen from outside of where it stands. */
const SEEN: Record<RotationStep, string> = {
  createSecret: 'at createSecret of',
  setSecret: 'at setSecret of',
  testSecret: 'at testSecret or finishSecret of',
  finishSecret: 'at testSecret or finishSecret of',
}
const AFTER: Record<RotationStep, string> = {
  createSecret: SEEN.setSecret,
  setSecret: SEEN.testSecret,
  testSecret: SEEN.finishSecret,
  finishSecret: 'nothing',
}

describe('a function', () => {
  test('is run once for a generation, through its four steps', async () => {
    const { mint, fn, labels } = await given()
    const { keyId } = await mint(1)
    expect(fn.invoked).toEqual(ROTATION_STEPS.map((step) => ({ step, token: keyId })))
    // Readers of the secret have what they had.
    expect((await labels())[keyId]).toEqual(['AWSPREVIOUS'])
    expect(await mint(1)).toMatchObject({ keyId })
    expect(fn.invoked).toHaveLength(4)
  })

  test.each(ROTATION_STEPS)(
    'that fails in %s is said so, and is run again for the same value',
    async (step) => {
      const { bringUp, mint, verdictOf, fn, secret } = await given({ functionMs: 0 })
      const old = await bringUp(1)
      fn.break(step, 'fails')
      const error = await safeErrorOf(mint(2), secretOf(old))
      expect(error).toMatchObject({ code: 'function_failed', retryable: false })
      expect(error.message).toContain(SEEN[step])
      expect(error.message).toContain(secret.fn.arn)
      expect(await verdictOf(old)).toBe('accepted')
      fn.heal()
      const next = await mint(2)
      expect(error.message).toContain(next.keyId)
      expect([await verdictOf(old), await verdictOf(next)]).toEqual(['accepted', 'accepted'])
    },
  )

  test.each(ROTATION_STEPS)('that fails when it has done %s goes on from there', async (step) => {
    const { bringUp, mint, verdictOf, fn } = await given({ functionMs: 0 })
    const old = await bringUp(1)
    fn.break(step, 'fails-late')
    if (step !== 'finishSecret') {
      const error = await safeErrorOf(mint(2), secretOf(old))
      expect(error.code).toBe('function_failed')
      expect(error.message).toContain(AFTER[step])
      fn.heal()
    }
    const next = await mint(2)
    expect([await verdictOf(old), await verdictOf(next)]).toEqual(['accepted', 'accepted'])
  })

  test.each(ROTATION_STEPS)('that does %s twice at once makes one value', async (step) => {
    const { bringUp, until, mint, verdictOf, fn, labels } = await given({ functionMs: 5_000 })
    const old = await bringUp(1)
    fn.break(step, 'twice')
    // Two of a step may meet in the database, or one find that the other was first: a step that failed.
    await mint(2).catch((error: unknown) => expect(error).toMatchObject({ retryable: true }))
    fn.heal()
    const next = await until(() => mint(2))
    expect([await verdictOf(old), await verdictOf(next)]).toEqual(['accepted', 'accepted'])
    expect(Object.keys(await labels()).toSorted()).toEqual([old.keyId, next.keyId].toSorted())
  })

  test.each(ROTATION_STEPS)(
    'that hangs in %s is waited for, and run again when it must be over',
    async (step) => {
      const { bringUp, until, mint, verdictOf, fn } = await given({ functionMs: 5_000 })
      const old = await bringUp(1)
      fn.break(step, 'hangs')
      const waited = await safeErrorOf(mint(2), secretOf(old))
      expect(waited).toMatchObject({ code: 'backend_unavailable', retryable: true })
      expect(waited.message).toContain(SEEN[step])
      fn.heal()
      const next = await until(() => mint(2))
      expect([await verdictOf(old), await verdictOf(next)]).toEqual(['accepted', 'accepted'])
    },
  )

  test.each(ROTATION_STEPS)(
    'that fails in %s while an old password is to be ended says so, too',
    async (step) => {
      const { bringUp, another, verdictOf, fn, labels } = await given({ functionMs: 0 })
      const old = await bringUp(1)
      const next = await bringUp(2)
      fn.break(step, 'fails')
      const revoke = () => another.revoke(1, callOf('r.revoke.g1'))
      expect((await safeErrorOf(revoke(), secretOf(old), secretOf(next))).code).toBe('function_failed')
      expect(await verdictOf(next)).toBe('accepted')
      fn.heal()
      await revoke()
      expect([await verdictOf(old), await verdictOf(next)]).toEqual(['refused', 'accepted'])
      expect((await labels())[next.keyId]).toContain('AWSCURRENT')
    },
  )

  test('that was slow in its first step makes nothing that lives on, once it was given up', async () => {
    const { bringUp, another, mint, verdictOf, fn, labels } = await given({ functionMs: 5_000 })
    const old = await bringUp(1)
    fn.break('createSecret', 'slow')
    await safeErrorOf(mint(2), secretOf(old))
    const revoke = () => another.revoke(2, callOf('r.destroy.g2'))
    expect(await safeErrorOf(revoke())).toMatchObject({ code: 'backend_unavailable', retryable: true })
    await expect.poll(() => safeErrorOf(revoke()).catch(() => 'done'), { timeout: 20_000 }).toBe('done')
    fn.heal()
    expect(Object.values(await labels()).flat()).not.toContain('AWSPENDING')
    const next = await mint(3)
    expect([await verdictOf(old), await verdictOf(next)]).toEqual(['accepted', 'accepted'])
  })

  test('whose unfinished value is given up leaves nothing in the way of the next', async () => {
    const { bringUp, another, mint, verdictOf, fn } = await given({ functionMs: 0 })
    const old = await bringUp(1)
    fn.break('testSecret', 'fails')
    await safeErrorOf(mint(2), secretOf(old))
    fn.heal()
    await another.revoke(2, callOf('r.destroy.g2'))
    expect(await safeErrorOf(mint(2))).toMatchObject({ code: 'value_lost' })
    expect(await verdictOf(await mint(3))).toBe('accepted')
    expect(await verdictOf(old)).toBe('accepted')
  })
})
