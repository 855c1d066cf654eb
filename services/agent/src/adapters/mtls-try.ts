import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { bundleParts, type PemBundle, type Probe, type Secret } from '@rekey/contracts'

type MtlsServer = {
  url: string
  /** PEM of the authority of the server, where the system does not know it. */
  caFile?: string | undefined
}

/** How servers say in TLS that they do not take a certificate (RFC 8446, section 6.2). */
const REFUSED =
  /ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN)|UNKNOWN_CA|ACCESS_DENIED)$/
const REFUSALS = new Set([401, 403])

/**
 * Presents a certificate the way a client does. Only a 2xx is a yes, and only where who presents none gets none; a refusal
 * is an alert about the certificate, 401 or 403. Each try has a connection of its own: a resumed one shows nothing.
 */
export async function mtlsTry(server: MtlsServer, value: Secret, timeoutMs = 3_000): Promise<Probe> {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const seen = await ask(server, bundleParts(value), signal)
    if (seen !== 'accepted') return seen
    const without = await ask(server, undefined, signal)
    return without === 'accepted' ? 'unknown' : 'accepted'
  } catch {
    return 'unknown'
  }
}

async function ask(
  { url, caFile }: MtlsServer,
  pair: PemBundle | undefined,
  signal: AbortSignal,
): Promise<Probe> {
  const ca = caFile === undefined ? undefined : await readFile(caFile)
  return new Promise((resolve) => {
    const asked = request(url, {
      agent: false,
      signal,
      ...(ca && { ca }),
      ...(pair && { cert: [pair.certificate, ...pair.chain].join(''), key: pair.key.reveal() }),
    })
    asked.on('response', (response) => {
      const { statusCode = 0 } = response
      response.destroy()
      if (statusCode >= 200 && statusCode < 300) resolve('accepted')
      else resolve(REFUSALS.has(statusCode) ? 'refused' : 'unknown')
    })
    asked.on('error', ({ code = '' }: NodeJS.ErrnoException) =>
      resolve(REFUSED.test(code) ? 'refused' : 'unknown'),
    )
    asked.end()
  })
}
