import { testAuthority } from '@rekey/testing'
import { inject } from 'vitest'
import { givenStaticPair } from '../test/given-static-pair.ts'

testAuthority('vault-database-static', () => givenStaticPair(inject('stack')))
