import { randomUUID } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { isIP } from 'node:net'
import { digestOf } from '../adapters/key-map.ts'
import type { Keys } from './keys.ts'
import type { Uses } from './uses.ts'

/** NGINX takes 32 KiB of a client's headers; ours must not be what refuses a request. */
const HEADERS_MAX_BYTES = 64 * 1024

/**
 * Answers NGINX's `auth_request`: 200 with the key's id, or 401; 503 where nobody has told it of the credential yet, so that NGINX
 * asks another one. Of the request it reads the headers only: `X-Rekey-Credential`, which NGINX sets, the two in which clients send a
 * key, `X-Request-Id`, by which its end will be told, and `X-Rekey-Client`, the client's address.
 */
export function questionServer(keys: Keys, uses: Uses): Server {
  const server = createServer({ maxHeaderSize: HEADERS_MAX_BYTES }, (question, response) => {
    const credential = one(question.headers['x-rekey-credential'])
    if (!credential || !keys.knows(credential)) {
      response.writeHead(credential ? 503 : 400, { 'content-length': 0 }).end()
      return
    }
    const value = presentedIn(question.headers)
    const found = value === undefined ? undefined : keys.find(credential, digestOf(value))
    const address = addressIn(question.headers)
    if (found?.part !== 'keys') {
      if (found && address !== undefined) uses.knocked(found.keyId, address)
      response.writeHead(401, { 'content-length': 0 }).end()
      return
    }
    // Of a request without a name nobody will say that it ended: it counts for the longest that one may take.
    uses.began(one(question.headers['x-request-id']) || randomUUID(), found.keyId, address)
    response.writeHead(200, { 'content-length': 0, 'x-rekey-key-id': found.keyId }).end()
  })
  // Who asks closes connections that it does not need: we would close one at the moment of its next question.
  server.keepAliveTimeout = 0
  return server
}

const one = (header: string | string[] | undefined) => (Array.isArray(header) ? header[0] : header)

function presentedIn(headers: IncomingHttpHeaders): string | undefined {
  const bearer = headers.authorization?.replace(/^[Bb]earer +/, '')
  return bearer || one(headers['x-api-key']) || undefined
}

/** An IPv4 address on an IPv6 socket is said as what it is. */
function addressIn(headers: IncomingHttpHeaders): string | undefined {
  const address = one(headers['x-rekey-client'])?.replace(/^::ffff:(?=\d+\.)/i, '')
  return address !== undefined && isIP(address) !== 0 ? address : undefined
}
