import { Redis } from 'ioredis'

/** BullMQ needs `maxRetriesPerRequest: null` on workers; RESP2 until ioredis 6.0.1. */
export function connectRedis(url: string): Redis {
  const redis = new Redis(url, {
    maxRetriesPerRequest: null,
    protocol: 2,
    retryStrategy: (tries) => Math.min(1_000, 50 * tries),
  })
  // ioredis reports every lost connection here and reconnects by itself.
  redis.on('error', () => undefined)
  return redis
}
