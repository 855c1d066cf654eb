import { Agent, request } from 'node:http'

export type Tally = { requests: number; failed: number; statuses: Map<number | string, number> }

/** Keep-alive clients that ask without a pause. The key is asked for before each request. */
export function startClients(options: { url: string; count: number; key: (client: number) => string }) {
  const agent = new Agent({ keepAlive: true, maxSockets: options.count })
  const statuses = new Map<number | string, number>()
  let going = true

  const once = (key: string) =>
    new Promise<number | string>((resolve) => {
      const outgoing = request(
        options.url,
        { agent, headers: { authorization: `Bearer ${key}` }, timeout: 10_000 },
        (incoming) => {
          incoming.resume()
          incoming.on('end', () => resolve(incoming.statusCode ?? 0))
          incoming.on('error', (error) => resolve(error.message))
        },
      )
      outgoing.on('timeout', () => outgoing.destroy(new Error('timeout')))
      outgoing.on('error', (error) => resolve(error.message))
      outgoing.end()
    })

  const loops = Array.from({ length: options.count }, async (_, client) => {
    while (going) {
      const seen = await once(options.key(client))
      statuses.set(seen, (statuses.get(seen) ?? 0) + 1)
    }
  })

  return {
    async stop(): Promise<Tally> {
      going = false
      await Promise.all(loops)
      agent.destroy()
      const requests = [...statuses.values()].reduce((sum, n) => sum + n, 0)
      return { requests, failed: requests - (statuses.get(200) ?? 0), statuses }
    },
  }
}
