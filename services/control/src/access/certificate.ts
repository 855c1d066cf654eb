import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { type Caller, PRINTABLE } from './caller.ts'

/**
 * The holder of a client certificate that the configured authority signed. Its SPIFFE ID or DNS name must be the only
 * name of that kind in it: with a second one it would be open to us and the authority which of them counts.
 */
export function certificateHolder(request: FastifyRequest): Caller | undefined {
  const { socket } = request.raw
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const name = nameIn(socket.getPeerCertificate().subjectaltname)
  return name === undefined ? undefined : { type: 'Certificate', id: name, actor: `mtls/${name}` }
}

/** As Node writes them: `URI:spiffe://example.org/siem, DNS:siem.example.org`. It quotes what could be mistaken. */
export function nameIn(names: string | undefined): string | undefined {
  const all = (names ?? '').split(', ')
  for (const [prefix, pattern] of KINDS) {
    const [name, second] = all.filter((one) => one.startsWith(prefix)).map((one) => one.slice('URI:'.length))
    if (second !== undefined) return undefined
    if (name !== undefined) return pattern.test(name) && PRINTABLE.test(name) ? name : undefined
  }
  return undefined
}

const KINDS: [string, RegExp][] = [
  ['URI:', /^spiffe:\/\/[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)+$/],
  ['DNS:', /^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/],
]
