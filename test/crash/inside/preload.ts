import { syncBuiltinESMExports } from 'node:module'
import { service } from './points.ts'

/**
 * Loaded into a service before its own code: names every durable write and outside call that it makes, and kills the
 * process before or after one of them, where the plan says so. Nothing in the service knows of it.
 */
const isAgent = service.startsWith('agent')

const { hookHttp } = await import('./http.ts')
hookHttp()
if (isAgent || service === 'fleet') {
  const { hookFiles } = await import('./files.ts')
  hookFiles()
  const { hookChannel } = await import('./channel.ts')
  hookChannel()
}
if (isAgent) {
  const { hookHaproxy } = await import('./haproxy.ts')
  hookHaproxy()
} else {
  const { hookPostgres } = await import('./postgres.ts')
  hookPostgres()
}
if (['conductor', 'rotator', 'fleet'].includes(service)) {
  const { hookRedis } = await import('./redis.ts')
  hookRedis()
}
if (['auditor', 'intake'].includes(service)) {
  const { hookKafka } = await import('./kafka.ts')
  hookKafka()
}
syncBuiltinESMExports()
