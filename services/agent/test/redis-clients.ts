import { readFile } from 'node:fs/promises'
import { Redis } from 'ioredis'

/**
 * Applications that keep one connection each, and look into the file of their node before each operation. Where it has changed they
 * connect anew, and close the old connection when the new one is there.
 */
export function startRedisClients({ file, key, count }: { file: string; key: string; count: number }) {
  let done = false
  let operations = 0
  const failures: string[] = []
  const users = new Map<string, number>()

  async function connected(login: string): Promise<Redis> {
    const { username, password, host, port } = JSON.parse(login)
    const once = { maxRetriesPerRequest: 0, retryStrategy: () => null, lazyConnect: true }
    const client = new Redis({ username, password, host, port, protocol: 2, ...once })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  async function one(number: number): Promise<void> {
    let held: { login: string; client: Redis } | undefined
    while (!done) {
      const login = (await readFile(file, 'utf8')).trim()
      const { username } = JSON.parse(login)
      try {
        if (held?.login !== login) {
          const client = await connected(login)
          await held?.client.quit()
          held = { login, client }
        }
        await held.client.set(`${key}:${number}`, operations)
        await held.client.get(`${key}:${number}`)
        operations += 1
        users.set(username, (users.get(username) ?? 0) + 1)
      } catch (error) {
        failures.push(`${username}: ${(error as Error).message}`)
        // One that lost its connection would only say so again and again.
        break
      }
    }
    await held?.client.quit().catch(() => {})
  }
  const running = Array.from({ length: count }, (_, number) => one(number))

  return {
    operations: () => operations,
    /** How many operations were done as this user so far. */
    as: (user: string) => users.get(user) ?? 0,
    async stop() {
      done = true
      await Promise.all(running)
      return { operations, failures }
    },
  }
}
