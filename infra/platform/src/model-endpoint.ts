import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type ModelEndpoint = { port: number; close(): Promise<void> }

const TOKEN_MS = 100

/**
 * An OpenAI-style endpoint that streams: `GET /v1/models`, `POST /v1/chat/completions`. It says words, not wisdom; what
 * matters here is that answers take as long as real ones. `max_tokens` sets how many words, one each 100 ms.
 */
export async function startModelEndpoint(): Promise<ModelEndpoint> {
  const server = createServer((request, response) => {
    if (request.method === 'GET' && request.url === '/v1/models')
      return json(response, { object: 'list', data: [{ id: 'echo', object: 'model' }] })
    if (request.method !== 'POST' || request.url !== '/v1/chat/completions')
      return json(response, { error: { message: 'not found' } }, 404)
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const { stream, max_tokens = 1 } = JSON.parse(body) as { stream?: boolean; max_tokens?: number }
      if (!stream)
        return json(response, { object: 'chat.completion', choices: [{ message: { content: 'word' } }] })
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let said = 0
      const timer = setInterval(() => {
        response.write(
          `data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"word${said}"}}]}\n\n`,
        )
        if (++said < max_tokens) return
        clearInterval(timer)
        response.end('data: [DONE]\n\n')
      }, TOKEN_MS)
      response.on('close', () => clearInterval(timer))
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
