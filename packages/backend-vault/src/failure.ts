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
  { seen: /role "[^"]*" does not exist/i, code: 'not_found', words: 'the role does not exist' },
  { seen: /no handler for route/i, code: 'not_found', words: 'nothing is mounted there' },
  { seen: /unsupported path/i, code: 'not_found', words: 'unsupported path' },
  { seen: /subject alternate name .*not allowed/i, words: 'the role does not allow this alternate name' },
  { seen: /common name .*not allowed/i, words: 'the role does not allow this common name' },
  { seen: /URI .*not (allowed|valid for this role)/i, words: 'the role does not allow this URI' },
  {
    seen: /serial_number .*not allowed/i,
    words: 'the role does not allow this serial number of the subject',
  },
  { seen: /IP Subject Alternative Names .*not allowed/i, words: 'the role does not allow IP addresses' },
  { seen: /common_name field is required/i, words: 'the role wants a common name' },
  {
    seen: /key type "any" not allowed/i,
    words: 'the key type of the role is any: it signs, and makes no keys',
  },
  { seen: /beyond the expiration of the CA/i, words: 'it would outlive its certificate authority' },
  {
    seen: /no default issuer|issuer .*not (found|exist)/i,
    words: 'there is no certificate authority to issue it',
  },
  // Of the database secrets engine. What PostgreSQL says can quote statements: its code alone is told.
  {
    seen: /SQLSTATE 2BP01/,
    code: 'invalid_configuration',
    words:
      'PostgreSQL keeps the user, because objects depend on it (2BP01): reassign what it owns, and let users of the role act as an owner',
  },
  {
    seen: /SQLSTATE 42501/,
    code: 'permission_denied',
    words: "PostgreSQL does not allow it to Vault's own user (42501)",
  },
  {
    seen: /SQLSTATE 28(P01|000)/,
    code: 'permission_denied',
    words: "PostgreSQL does not let Vault's own user in",
  },
  {
    seen: /SQLSTATE 42704/,
    code: 'invalid_configuration',
    words: 'PostgreSQL has no such user (42704)',
  },
  { seen: /no static role found/i, code: 'not_found', words: 'there is no such static role' },
  // What was asked for is done; another call was doing the same.
  { seen: /duplicate item/i, code: 'backend_unavailable', words: 'the password was just changed' },
  {
    seen: /unable to finish rotating/i,
    code: 'backend_unavailable',
    words: "PostgreSQL did not do what Vault asked for, and Vault tries again by itself: see Vault's log",
  },
  {
    seen: /unable to (create new|delete) user|failed to revoke entry/i,
    code: 'backend_unavailable',
    words: "PostgreSQL did not do what Vault asked for: see Vault's log",
  },
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

/** What Vault said of it; to be looked at, not repeated. */
export function wordsOf({ body }: Pick<Refusal, 'body'>): string {
  if (typeof body !== 'object' || body === null || !('errors' in body) || !Array.isArray(body.errors))
    return ''
  return body.errors.filter((word) => typeof word === 'string').join('; ')
}

/** A new error about `what` we were doing. Nothing of the raw one is kept: no cause, no text, no stack. */
export function rebuilt(error: unknown, what: string): RekeyError {
  if (RekeyError.is(error)) return new RekeyError(error.code, `${what}: ${error.message}`)
  const refusal = refusalOf(error)
  if (!refusal) return new RekeyError('bad_response', `${what}: the Vault client failed`)
  return errorOf(refusal, what)
}

/** The same of an answer that a caller looked at first. */
export function errorOf(refusal: Refusal, what: string): RekeyError {
  const { status } = refusal
  const known = WORDS.find(({ seen }) => seen.test(wordsOf(refusal)))
  const code = known?.code ?? STATUS[status] ?? 'bad_response'
  const redirect = status >= 300 && status < 400 ? ', a redirect, which Rekey does not follow' : ''
  return new RekeyError(
    code,
    `${what}: Vault answered ${status}${redirect}${known ? ` (${known.words})` : ''}`,
  )
}

/** Vault says 404 for what is not there, and for a mount or a namespace that is not: that is a mistake, not an absence. */
export function mentionsRoute(refusal: Pick<Refusal, 'body'>): boolean {
  return /no handler for route|unsupported path|namespace/.test(wordsOf(refusal))
}
