import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Secret } from '@rekey/contracts'

const HOST = '127.0.0.1'
const PATH = '/credentials'
const IDLE_MS = 5_000
const CONNECTIONS_MAX = 256
const HEADERS_MAX_BYTES = 8 * 1024

export type HandedOut = { id: string; secret: Secret; endsAt: Date }

export type Endpoint = { isOpen(): boolean; close(): Promise<void> }

/**
 * The container credential provider's side of the protocol (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html):
 * one address on loopback, and only for who shows the token. `take` is asked for each answer; undefined: there is no key.
 */
export async function openEndpoint(
  port: number,
  token: string,
  take: () => HandedOut | undefined,
): Promise<Endpoint> {
  const hosts = new Set([HOST, 'localhost'].map((name) => (port === 80 ? name : `${name}:${port}`)))
  const limits = { maxHeaderSize: HEADERS_MAX_BYTES, headersTimeout: IDLE_MS, requestTimeout: IDLE_MS }
  const server = createServer(limits, (request, response) => {
    const [status, body] = answerTo(request, hosts, token, take)
    response.writeHead(status, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      connection: 'close',
    })
    response.end(JSON.stringify(body))
  })
  server.maxConnections = CONNECTIONS_MAX
  server.listen(port, HOST)
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'another process has it: end that, or choose another port' : code
    throw new Error(`cannot listen on port ${port} of ${HOST}: ${why}`)
  }
  return { isOpen: () => server.listening, close: () => closed(server) }
}

function answerTo(
  request: IncomingMessage,
  hosts: ReadonlySet<string>,
  token: string,
  take: () => HandedOut | undefined,
): [status: number, body: Record<string, string>] {
  // A web page whose name was pointed at this address would say its own.
  if (!hosts.has(request.headers.host ?? '')) return problem(403, 'WrongHost', 'ask for 127.0.0.1')
  if (!isSame(request.headers.authorization ?? '', token))
    return problem(401, 'WrongToken', 'send what AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names')
  if (request.method !== 'GET' || request.url !== PATH) return problem(404, 'NotFound', `GET ${PATH}`)
  const key = take()
  if (!key) return problem(503, 'NoCredentials', 'this node has no key now')
  return [
    200,
    {
      AccessKeyId: key.id,
      SecretAccessKey: key.secret.reveal(),
      // A key of a user has none; JavaScript's and Python's SDKs refuse an answer without it.
      Token: '',
      Expiration: key.endsAt.toISOString(),
    },
  ]
}

/** In the case that the SDKs of Go and of JavaScript look for. */
const problem = (status: number, code: string, message: string): [number, Record<string, string>] => [
  status,
  { code, message, Code: code, Message: message },
]

/** In the same time, whatever is compared. */
function isSame(shown: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(shown), digest(wanted))
}

async function closed(server: Server): Promise<void> {
  const done = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeAllConnections()
  await done
}
