import { createDatabase, startStack } from '@rekey/local'
import { Redis } from 'ioredis'
import pg from 'pg'
import { parentOf, type Watched } from './cpu.ts'

/** PostgreSQL and Redis, real. */
export type Servers = {
  postgresUrl: string
  redisUrl: string
  /** Makes an empty one; its name is used once. */
  createDatabase(): Promise<string>
  /** Where their processor time can be seen. */
  processes(): Promise<Watched[]>
  stop(): Promise<void>
}

export type Addresses = { postgresUrl: string; redisUrl: string }

/** Started for this run alone, unless they are given. */
export async function startServers(
  given: Addresses | undefined,
  onProgress: (line: string) => void,
): Promise<Servers> {
  if (given) return servers(given, async () => undefined)
  const stack = await startStack({ only: ['postgres', 'redis'], onProgress })
  return servers({ postgresUrl: stack.postgres.url, redisUrl: stack.redis.url }, () => stack.stop())
}

function servers({ postgresUrl, redisUrl }: Addresses, stop: () => Promise<void>): Servers {
  return {
    postgresUrl,
    redisUrl,
    createDatabase: () =>
      createDatabase({ postgres: { url: postgresUrl } }, `bench_${crypto.randomUUID().replaceAll('-', '')}`),
    async processes() {
      const client = new pg.Client({ connectionString: postgresUrl })
      await client.connect()
      const { rows } = await client.query('select pg_backend_pid() as pid')
      const postgres = parentOf(rows[0].pid)
      await client.end()
      const redis = new Redis(redisUrl, { protocol: 2 })
      const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1])
      redis.disconnect()
      return [
        { name: 'PostgreSQL', pid: postgres, children: true },
        { name: 'Redis', pid },
      ]
    },
    stop,
  }
}
