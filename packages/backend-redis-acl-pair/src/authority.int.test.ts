import { testAuthority } from '@rekey/testing'
import { inject } from 'vitest'
import { givenRedisAclPair } from '../test/given-redis-acl-pair.ts'

testAuthority('redis-acl-pair', () => givenRedisAclPair(inject('stack').redisUrl))
