import { type ErrorCode, RekeyError } from '@rekey/contracts'

/**
 * Vault's own words that we may repeat: fixed sentences of its source. Its other texts are left out, because they
 * can quote what was sent.
 */
const WORDS: readonly { seen: RegExp; code?: ErrorCode; words: string }[] = [
  { seen: /vault is sealed/i, code: 'sealed', words: 'Vault is sealed' },
  { seen: /invalid role or secret id/i, code: 'permission_denied', words: 'invalid role or secret ID' },
  { seen: /invalid (role|secret)[ _]id/i, code: 'permission_denied', words: 'invalid role or secret ID' },
  {
    seen: /wrapping token is not valid or does not exist/i,
    code: 'permission_denied',
    words: 'the wrapping token was used before, or has expired',
  },
  { seen: /unknown role/i, code: 'not_found', words: 'unknown role' },
  { seen: /no handler for route/i, code: 'not_found', words: 'nothing is mounted there' },
  { seen: /unsupported path/i, code: 'not_found', words: 'unsupported path' },
  { seen: /subject alternate name .*not allowed/i, words: 'the role does not allow this alternate name' },
  { seen: /common name .*not allowed/i, words: 'the role does not allow this common name' },
  { seen: /URI .*not allowed/i, words: 'the role does not allow this URI' },
  { seen: /local node not active|standby/i, code: 'backend_unavailable', words: 'this server is not active' },
]

const STATUS: Record<number, ErrorCode> = {
  400: 'invalid_configuration',
  403: 'permission_denied',
  404: 'not_found',
  405: 'invalid_configuration',
  412: 'backend_unavailable',
  413: 'invalid_configuration',
  429: 'throttled',
  472: 'backend_unavailable',
  473: 'backend_unavailable',
  502: 'backend_unavailable',
  503: 'backend_unavailable',
  504: 'backend_unavailable',
}

/** What Vault refused, in a form that may be looked at inside this package only: `body` can hold a value. */
export type Refusal = { status: number; body: unknown }

/** node-vault's ApiResponseError, taken apart. Undefined for anything else. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (typeof error !== 'object' || error === null || !('response' in error)) return undefined
  const response = error.response
  if (typeof response !== 'object' || response === null || !('statusCode' in response)) return undefined
  return { status: Number(response.statusCode), body: 'body' in response ? response.body : undefined }
}

function wordsOf(refusal: Refusal): string {
  const body = refusal.body
  if (typeof body !== 'object' || body === null || !('errors' in body) || !Array.isArray(body.errors))
    return ''
  return body.errors.filter((word) => typeof word === 'string').join('; ')
}

/** A new error about `what` we were doing. Nothing of the raw one is kept: no cause, no text, no stack. */
export function rebuilt(error: unknown, what: string): RekeyError {
  if (RekeyError.is(error)) return new RekeyError(error.code, `${what}: ${error.message}`)
  const refusal = refusalOf(error)
  if (!refusal) return new RekeyError('bad_response', `${what}: the Vault client failed`)
  const { status } = refusal
  const known = WORDS.find(({ seen }) => seen.test(wordsOf(refusal)))
  const code = known?.code ?? STATUS[status] ?? 'bad_response'
  const redirect = status >= 300 && status < 400 ? ', a redirect, which Rekey does not follow' : ''
  return new RekeyError(
    code,
    `${what}: Vault answered ${status}${redirect}${known ? ` (${known.words})` : ''}`,
  )
}
