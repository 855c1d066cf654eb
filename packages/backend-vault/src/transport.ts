import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { RekeyError, untrustedCertificate } from '@rekey/contracts'

/**
 * What node-vault sends through, in place of axios: its `request-promise` hook.
 *
 * axios ignores the caller's signal under node-vault, follows redirects with our token and body, obeys the proxy
 * variables of the environment, and fails with errors that hold both. This one is cut off by the signal (the
 * socket too, so that no late act is left behind), follows nothing, and fails with RekeyError only.
 */
export type Transport = {
  defaults: () => (options: TransportRequest) => Promise<TransportReply>
  close: () => void
}

type TransportRequest = {
  method: string
  uri: string
  headers?: Record<string, string>
  json?: unknown
  signal?: AbortSignal
}

type TransportReply = { statusCode: number; body: unknown; request: { path: string } }

const MAX_BYTES = 8 * 1024 * 1024

export function vaultTransport(tls: { ca?: string }): Transport {
  const http = new HttpAgent({ keepAlive: true })
  const https = new HttpsAgent({ keepAlive: true, rejectUnauthorized: true, ...tls })

  const send = (options: TransportRequest): Promise<TransportReply> =>
    new Promise((resolve, reject) => {
      const url = new URL(options.uri)
      const body =
        options.json === undefined || options.json === null
          ? undefined
          : Buffer.from(JSON.stringify(options.json))
      const headers: Record<string, string | number> = { accept: 'application/json', ...options.headers }
      if (body) {
        headers['Content-Type'] ??= 'application/json'
        headers['Content-Length'] = body.byteLength
      }
      const fail = (error: unknown) => reject(networkFailure(error, options.signal))
      const settings = { method: options.method, headers, ...(options.signal && { signal: options.signal }) }
      const outgoing =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...settings, agent: https })
          : httpRequest(url, { ...settings, agent: http })
      outgoing.on('error', fail)
      outgoing.on('response', (reply) => {
        readBody(reply).then(
          (parsed) =>
            resolve({ statusCode: reply.statusCode ?? 0, body: parsed, request: { path: url.pathname } }),
          fail,
        )
      })
      outgoing.end(body)
    })

  return {
    defaults: () => send,
    close: () => {
      http.destroy()
      https.destroy()
    },
  }
}

async function readBody(reply: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > MAX_BYTES) throw new RekeyError('bad_response', 'Vault sent a reply of more than 8 MiB')
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    // A SyntaxError quotes the text, which may hold a value. An error status says enough without its body.
    if ((reply.statusCode ?? 0) >= 300) return undefined
    throw new RekeyError('bad_response', 'Vault sent a reply that is not JSON')
  }
}

function networkFailure(error: unknown, signal: AbortSignal | undefined): RekeyError {
  if (RekeyError.is(error)) return error
  if (signal?.aborted) return new RekeyError('backend_timeout', 'Vault did not answer before the deadline')
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const untrusted = untrustedCertificate(code)
  if (untrusted) return new RekeyError('backend_unavailable', untrusted)
  const seen = /^[A-Z][A-Z0-9_]{2,40}$/.test(code) ? ` (${code})` : ''
  return new RekeyError('backend_unavailable', `Vault could not be reached, or it cut the connection${seen}`)
}
