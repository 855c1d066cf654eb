import { Redis } from 'ioredis'
import pg from 'pg'
import type { Servers } from '../servers.ts'

/** The bare way of a wake-up: a row is committed with a NOTIFY, somebody hears it and makes one call of Redis. */
export type BareNotify = {
  /** Milliseconds from when the commit is sent, until it is heard and until Redis has answered too. */
  once(): Promise<{ heard: number; answered: number }>
  close(): Promise<void>
}

export async function bareNotify(servers: Servers): Promise<BareNotify> {
  const url = await servers.createDatabase()
  const [writer, listener] = [url, url].map((connectionString) => new pg.Client({ connectionString }))
  if (!writer || !listener) throw new Error('two connections')
  await Promise.all([writer.connect(), listener.connect()])
  await writer.query('create table row (n int)')
  await listener.query('listen bare')
  const redis = new Redis(servers.redisUrl, { protocol: 2 })
  await redis.ping()
  return {
    async once() {
      await writer.query('begin')
      await writer.query('insert into row values (1)')
      await writer.query("select pg_notify('bare', '')")
      const heard = new Promise<number>((resolve) =>
        listener.once('notification', () => resolve(performance.now())),
      )
      const sentAt = performance.now()
      const committed = writer.query('commit')
      const heardAt = await heard
      await redis.ping()
      const answeredAt = performance.now()
      await committed
      return { heard: heardAt - sentAt, answered: answeredAt - sentAt }
    },
    async close() {
      redis.disconnect()
      await Promise.all([writer.end(), listener.end()])
    },
  }
}
