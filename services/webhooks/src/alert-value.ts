import { digestOf, RekeyError, Secret } from '@rekey/contracts'
import { secretFile } from '@rekey/runtime'
import { z } from 'zod'
import type { AlertRef } from './source.ts'

/** An alert has a few kilobytes. */
const BYTES_MAX = 256 * 1024
const Answer = z.object({
  number: z.number(),
  secret: z
    .string()
    .min(1)
    .max(64 * 1024)
    .transform((text) => Secret.of(text)),
})

/**
 * Asks GitHub for the value that an alert is about, and gives its digest. The address is made of configuration and of
 * checked names, and of nothing that looks like an address in a delivery. No error repeats anything of an answer.
 */
export function alertDigests(api: { url: string; tokenFile: string }) {
  return async ({ owner, repository, number }: AlertRef, signal: AbortSignal): Promise<string> => {
    const what = `read alert ${number} of ${owner}/${repository}`
    const url = `${api.url.replace(/\/+$/, '')}/repos/${owner}/${repository}/secret-scanning/alerts/${number}`
    // Read each time: tokens are short-lived, and are replaced under us.
    const token = secretFile(api.tokenFile)
    const response = await ask(url, token, signal, what)
    if (response.status !== 200) {
      await response.body?.cancel().catch(() => undefined)
      throw refusal(response, what)
    }
    const answer = Answer.safeParse(parse(await textOf(response, what)))
    if (!answer.success || answer.data.number !== number)
      throw new RekeyError('bad_response', `${what}: GitHub sent no alert with its value`)
    return digestOf(answer.data.secret.reveal())
  }
}

async function ask(url: string, token: Secret, signal: AbortSignal, what: string): Promise<Response> {
  try {
    return await fetch(url, {
      signal,
      // A token and a value must not go where a redirection says.
      redirect: 'manual',
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${token.reveal()}`,
        'user-agent': 'rekey-webhooks',
        'x-github-api-version': '2022-11-28',
      },
    })
  } catch {
    throw unreachable(signal, what)
  }
}

/** The whole body, unless it is too large or too slow. */
async function textOf(response: Response, what: string): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.byteLength
      if (bytes > BYTES_MAX) break
      chunks.push(chunk)
    }
  } catch {
    throw new RekeyError('backend_unavailable', `${what}: the answer broke off`)
  }
  if (bytes > BYTES_MAX)
    throw new RekeyError('bad_response', `${what}: the answer is larger than ${BYTES_MAX} bytes`)
  return Buffer.concat(chunks).toString('utf8')
}

/** The parser's own error quotes some of the text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreachable(signal: AbortSignal, what: string): RekeyError {
  return signal.aborted
    ? new RekeyError('backend_timeout', what)
    : new RekeyError('backend_unavailable', `${what}: GitHub cannot be reached`)
}

function refusal({ status, headers }: Response, what: string): RekeyError {
  const isThrottled =
    status === 429 || headers.has('retry-after') || headers.get('x-ratelimit-remaining') === '0'
  if (isThrottled) return new RekeyError('throttled', what)
  if (status === 401 || status === 403)
    return new RekeyError('permission_denied', `${what}: the token may not read secret scanning alerts there`)
  if (status >= 300 && status < 400)
    return new RekeyError('not_found', `${what}: GitHub says that it was moved`)
  if (status === 404) return new RekeyError('not_found', `${what}: there is none that the token may read`)
  return new RekeyError('backend_unavailable', `${what}: GitHub answered ${status}`)
}
