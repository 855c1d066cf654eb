import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { Redis } from 'ioredis'
import type { Servers } from '../servers.ts'
import { startNodeAt } from './agent-bench.ts'
import { type Long, outbound, type Subject, until } from './subject.ts'

const LONG_S = 3

/**
 * Applications with one connection each, that look into the file of their node before each request, which is a SET and a GET. Two users
 * of a Redis take turns.
 */
export async function redisLogin({ redisUrl }: Servers): Promise<Subject> {
  const users = ['a', 'b'].map((side) => `bench_${randomUUID()}_${side}`)
  const admin = new Redis(redisUrl, { protocol: 2 })
  const { hostname: host, port } = new URL(redisUrl)
  const userOf = (generation: number) => users[generation % 2] ?? ''
  const passwordOf = (generation: number) => `password-of-generation-${generation}`
  const valueAt = (generation: number) =>
    Secret.of(
      JSON.stringify({
        username: userOf(generation),
        password: passwordOf(generation),
        host,
        port: Number(port),
        tls: false,
      }),
    )
  const dir = await mkdtemp(join(tmpdir(), 'rekey-redis-login-'))
  const path = join(dir, 'login.json')
  const software = {
    adapter: { kind: 'file', path, format: 'value', probe: 'redis' },
    stop: () => rm(dir, { recursive: true, force: true }),
  }
  const node = await startNodeAt(software, software.adapter, valueAt)
  const held = new Map<number, { login: string; client: Redis }>()

  async function clientOf(number: number): Promise<Redis> {
    const login = await readFile(path, 'utf8')
    const known = held.get(number)
    if (known?.login === login) return known.client
    const client = await connected(login)
    await known?.client.quit()
    held.set(number, { login, client })
    return client
  }
  const sessionsOf = async (generation: number) =>
    String(await admin.call('CLIENT', 'LIST')).split(`user=${userOf(generation)} `).length - 1
  /** What is long keeps its login, and is not waited for here. */
  let running = 0

  return outbound(node, {
    async ask(number) {
      try {
        const client = await clientOf(number)
        await client.set(`${users[0]}:${number}`, number)
        return (await client.get(`${users[0]}:${number}`)) === String(number)
      } catch {
        // One that lost its connection makes another one.
        held.get(number)?.client.disconnect()
        held.delete(number)
        return false
      }
    },
    async long(): Promise<Long> {
      const client = await connected(await readFile(path, 'utf8'))
      running = 1
      let isOver = false
      const intact = client
        .blpop(`${users[0]}:none`, LONG_S)
        .then(
          () => true,
          () => false,
        )
        .finally(() => {
          isOver = true
          running = 0
          client.disconnect()
        })
      return { isOver: () => isOver, intact }
    },
    async install(to) {
      const rules = ['on', 'resetpass', `>${passwordOf(to)}`, '~*', '+@all']
      await admin.call('ACL', 'SETUSER', userOf(to), ...rules)
    },
    unused: async (old) => {
      await until('nobody else works with the old login', async () => (await sessionsOf(old)) <= running)
    },
    async revoke(old) {
      await admin.call('ACL', 'SETUSER', userOf(old), 'off', 'resetpass')
      await admin.call('CLIENT', 'KILL', 'USER', userOf(old))
    },
    async stop() {
      for (const { client } of held.values()) client.disconnect()
      await node.stop()
      await admin.call('ACL', 'DELUSER', ...users)
      await admin.del(Array.from({ length: held.size }, (_, number) => `${users[0]}:${number}`))
      admin.disconnect()
    },
  })
}

async function connected(login: string): Promise<Redis> {
  const { username, password, host, port } = JSON.parse(login)
  const once = { maxRetriesPerRequest: 0, retryStrategy: () => null, lazyConnect: true }
  const client = new Redis({ username, password, host, port, protocol: 2, ...once })
  client.on('error', () => {})
  await client.connect()
  return client
}
