import { Agent, request } from 'node:http'
import { Agent as TlsAgent, type AgentOptions as TlsAgentOptions, request as tlsRequest } from 'node:https'
import type { Long } from './subject.ts'

const TIMEOUT_MS = 10_000
/** Longer than a change takes. */
const TOKENS = 30

type Headers = Record<string, string>

/**
 * Asks by HTTP on connections that are kept, one for each client. By TLS where it is told whom to believe; then every second client
 * connects anew for each request, because who stays is never shown another certificate.
 */
export function httpClient(tls?: TlsAgentOptions) {
  const agents = new Map<number, Agent>()
  const agentOf = (client: number) => {
    const keepAlive = !tls || client % 2 === 0
    const known = agents.get(client) ?? (tls ? new TlsAgent({ ...tls, keepAlive }) : new Agent({ keepAlive }))
    agents.set(client, known)
    return known
  }
  const send = tls ? tlsRequest : request
  return {
    ask: (url: string, client: number, headers: Headers) =>
      new Promise<boolean>((resolve) => {
        const outgoing = send(url, { agent: agentOf(client), headers, timeout: TIMEOUT_MS }, (incoming) => {
          incoming.resume()
          incoming.on('end', () => resolve(incoming.statusCode === 200))
          incoming.on('error', () => resolve(false))
        })
        outgoing.on('timeout', () => outgoing.destroy(new Error('timeout')))
        outgoing.on('error', () => resolve(false))
        outgoing.end()
      }),
    /** A stream with a token each 100 ms, on a connection of its own. Resolves when its answer has begun. */
    long: (url: string, headers: Headers) =>
      new Promise<Long>((resolve, reject) => {
        send(`${url}/stream?n=${TOKENS}`, { ...tls, agent: false, headers }, (incoming) => {
          let text = ''
          let isOver = false
          incoming.setEncoding('utf8')
          incoming.on('data', (chunk) => {
            text += chunk
          })
          const intact = new Promise<boolean>((end) => {
            incoming.on('error', () => {})
            incoming.on('close', () => {
              isOver = true
              end(incoming.statusCode === 200 && text.endsWith('data: [DONE]\n\n'))
            })
          })
          resolve({ isOver: () => isOver, intact })
        })
          .on('error', reject)
          .end()
      }),
    close() {
      for (const agent of agents.values()) agent.destroy()
    },
  }
}
