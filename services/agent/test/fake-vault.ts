import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Secret } from '@rekey/contracts'

/** As much of Vault as an agent uses: AppRole login, KV v2 reads, and wrapping tokens that open once. */
export async function startFakeVault(options: { valueOf: (generation: number) => Secret }) {
  const generations = new Set<number>()
  const unwrapped = new Set<string>()
  const reads: string[] = []
  /** Called before an answer; the answer waits for it. */
  const hooks = { before: async (_path: string) => {} }
  const mode = { away: false }

  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const path = request.url ?? ''
    const reply = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    await hooks.before(path)
    if (mode.away) return reply(503, { errors: ['Vault is sealed'] })
    if (path === '/v1/auth/approle/login') {
      return reply(200, { auth: { client_token: 'token', lease_duration: 3600, renewable: true } })
    }
    if (path === '/v1/sys/wrapping/unwrap') {
      const token = text === '' ? String(request.headers['x-vault-token']) : JSON.parse(text).token
      if (unwrapped.has(token))
        return reply(400, { errors: ['wrapping token is not valid or does not exist'] })
      unwrapped.add(token)
      return reply(200, { data: { secret_id: `secret-id-of-${token}` } })
    }
    const found = /^\/v1\/secret\/data\/rekey-staging\/chat\/(\d+)$/.exec(path)
    const generation = Number(found?.[1])
    if (!generations.has(generation)) return reply(404, { errors: [] })
    reads.push(path)
    const value = options.valueOf(generation).reveal()
    const data = { value, generation, key_id: `chat.g${generation}`, call_key: 'test' }
    return reply(200, { data: { data, metadata: { version: 1 } } })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    addr: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    generations,
    unwrapped,
    reads,
    hooks,
    mode,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}
