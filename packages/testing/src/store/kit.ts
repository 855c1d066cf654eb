import { afterEach, beforeEach, describe } from 'vitest'
import { testOnRecord } from '../kit-results.ts'
import type { StoreUnderTest } from './given.ts'
import { testDestroying } from './kit-destroy.ts'
import { testFailing } from './kit-failing.ts'
import { testLive } from './kit-live.ts'
import { testPromoting } from './kit-promote.ts'
import { testRestoring } from './kit-restore.ts'
import { testShown } from './kit-shown.ts'
import { testStaging } from './kit-stage.ts'
import { testWithdrawing } from './kit-withdraw.ts'

/**
 * The contract of a Store as a test suite. A whole kind's test is one line:
 *
 *     testStore('vault kv', makeVaultStore)
 */
export function testStore(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of a store`, () => {
    let made: StoreUnderTest | undefined
    beforeEach(async () => {
      made = await make()
    })
    afterEach(async () => {
      made?.faults.heal()
      await made?.close?.()
    })
    const given = (): StoreUnderTest => {
      if (!made) throw new Error('the kit is used outside of a test')
      return made
    }
    testStaging(given)
    testPromoting(given)
    testRestoring(given)
    testWithdrawing(given)
    testDestroying(given)
    testLive(given)
    testShown(given)
    testFailing(given)
    testOnRecord('store', name)
  })
}
