import { Agent, type OutgoingHttpHeaders, request } from 'node:http'
import { Agent as TlsAgent, type AgentOptions as TlsAgentOptions, request as tlsRequest } from 'node:https'

export type Tally = { requests: number; failed: number; statuses: Map<number | string, number> }

/** Clients that ask without a pause, on connections that they keep. The key is asked for before each request. */
export function startClients(options: {
  url: string
  count: number
  key: (client: number) => string
  /** What else is sent with a request. */
  headers?: (client: number) => OutgoingHttpHeaders
  /** By TLS; `keepAlive: false` is a handshake for each request. */
  tls?: TlsAgentOptions
}) {
  const kept = { keepAlive: true, maxSockets: options.count }
  const agent = options.tls ? new TlsAgent({ ...kept, ...options.tls }) : new Agent(kept)
  const ask = options.tls ? tlsRequest : request
  const statuses = new Map<number | string, number>()
  let going = true

  const once = (key: string, headers: OutgoingHttpHeaders = {}) =>
    new Promise<number | string>((resolve) => {
      const outgoing = ask(
        options.url,
        { agent, headers: { authorization: `Bearer ${key}`, ...headers }, timeout: 10_000 },
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
      const seen = await once(options.key(client), options.headers?.(client))
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
