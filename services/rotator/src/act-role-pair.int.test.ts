import { describe, inject } from 'vitest'
import { testActs } from '../test/act-checks.ts'
import { onRolePair } from '../test/given-role-pair.ts'

/** The two that alter what the fence is about; the kit has each verb with each of its requests lost. */
describe('every step on a role pair', () => {
  testActs(['install', 'revoke'], () => onRolePair(inject('stack').postgresUrl))
})
