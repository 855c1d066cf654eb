import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What somebody on call is told. */
export type Told = { about: string; severity: string; resolves: boolean; summary: string; rotation: string }

export type OnCall = { url: string; told: Told[]; close(): Promise<void> }

/** A receiver of notices, as a webhook of the owner. */
export async function startOnCall(): Promise<OnCall> {
  const told: Told[] = []
  const server = createServer(async (request, reply) => {
    let text = ''
    for await (const chunk of request) text += chunk
    told.push(JSON.parse(text))
    reply.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/rekey`,
    told,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
