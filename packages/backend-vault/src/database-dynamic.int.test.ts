import { testAuthority } from '@rekey/testing'
import { inject } from 'vitest'
import { givenDatabaseRole } from '../test/given-database-role.ts'

testAuthority('vault-database-dynamic', () => givenDatabaseRole(inject('stack')))
