export { type RedisAclPairAuthority, redisAclPairAuthority } from './authority.ts'
export { tryRedisLogin } from './try-login.ts'
