export { type RedisAclPairAuthority, redisAclPairAuthority } from './authority.ts'
export { FRESH_MARK } from './mark.ts'
export { tryRedisLogin } from './try-login.ts'
