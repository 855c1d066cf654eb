import type { Logger } from '@rekey/runtime'
import { Redis } from 'ioredis'

/**
 * Connects in the background, and again whenever the connection is lost. An outage is logged once, and its end:
 * Redis carries wake-ups only, so nothing but time is lost meanwhile.
 *
 * BullMQ needs `maxRetriesPerRequest: null` on workers; RESP2 until ioredis 6.0.1.
 */
export function connectRedis(url: string, logger?: Pick<Logger, 'info' | 'warn'>): Redis {
  const redis = new Redis(url, {
    maxRetriesPerRequest: null,
    protocol: 2,
    retryStrategy: (tries) => Math.min(1_000, 50 * tries),
  })
  let isAway = false
  redis.on('error', (error) => {
    if (isAway) return
    isAway = true
    logger?.warn({ error }, 'Redis does not answer: due effects are taken from the ledger')
  })
  redis.on('ready', () => {
    if (isAway) logger?.info('Redis answers again')
    isAway = false
  })
  return redis
}
