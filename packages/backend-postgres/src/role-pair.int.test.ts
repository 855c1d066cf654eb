import { testAuthority } from '@rekey/testing'
import { inject } from 'vitest'
import { givenPair } from '../test/given-pair.ts'

testAuthority('postgres-role-pair', () => givenPair(inject('stack').postgresUrl))
