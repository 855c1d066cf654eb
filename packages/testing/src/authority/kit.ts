import { afterEach, beforeEach, describe } from 'vitest'
import { testOnRecord } from '../kit-results.ts'
import type { AuthorityUnderTest } from './given.ts'
import { testEnding } from './kit-end.ts'
import { testFailing } from './kit-failing.ts'
import { testInstalling } from './kit-install.ts'
import { testMinting } from './kit-mint.ts'

/**
 * The contract of an outbound Authority as a test suite, whoever makes its values: what is about the other way is shown as
 * skipped. A whole kind's test is one line:
 *
 *     testAuthority('postgres', makePostgresAuthority)
 *
 * What it lets through must be safe to do twice, at the same time, late, and with an answer lost: the ledger promises
 * that a step is done at least once, and no more than that.
 */
export function testAuthority(name: string, make: () => Promise<AuthorityUnderTest>): void {
  describe(`${name} keeps the contract of an authority`, () => {
    let made: AuthorityUnderTest | undefined
    beforeEach(async () => {
      made = await make()
    })
    afterEach(async () => {
      made?.faults.heal()
      await made?.close?.()
    })
    const given = (): AuthorityUnderTest => {
      if (!made) throw new Error('the kit is used outside of a test')
      return made
    }
    testInstalling(given)
    testMinting(given)
    testEnding(given)
    testFailing(given)
    testOnRecord('authority', name)
  })
}
