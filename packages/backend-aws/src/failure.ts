import { type ErrorCode, RekeyError, untrustedCertificate } from '@rekey/contracts'

/** By name, never by status: AWS says 400 for nearly everything. */
const NAMES: Record<string, ErrorCode> = {
  ResourceNotFoundException: 'not_found',
  NoSuchEntityException: 'not_found',
  NoSuchEntity: 'not_found',
  EntityTemporarilyUnmodifiableException: 'throttled',
  ResourceExistsException: 'already_exists',
  InvalidParameterException: 'invalid_configuration',
  InvalidRequestException: 'invalid_configuration',
  ValidationException: 'invalid_configuration',
  MalformedPolicyDocumentException: 'invalid_configuration',
  PreconditionNotMetException: 'invalid_configuration',
  LimitExceededException: 'quota_exhausted',
  LimitExceeded: 'quota_exhausted',
  ThrottlingException: 'throttled',
  Throttling: 'throttled',
  ThrottledException: 'throttled',
  TooManyRequestsException: 'throttled',
  RequestLimitExceeded: 'throttled',
  SlowDown: 'throttled',
  AccessDenied: 'permission_denied',
  AccessDeniedException: 'permission_denied',
  UnrecognizedClientException: 'permission_denied',
  InvalidClientTokenId: 'permission_denied',
  InvalidSignatureException: 'permission_denied',
  SignatureDoesNotMatch: 'permission_denied',
  IncompleteSignature: 'permission_denied',
  MissingAuthenticationToken: 'permission_denied',
  ExpiredToken: 'permission_denied',
  ExpiredTokenException: 'permission_denied',
  OptInRequired: 'permission_denied',
  RegionDisabledException: 'invalid_configuration',
  DecryptionFailure: 'permission_denied',
  EncryptionFailure: 'permission_denied',
  CredentialsProviderError: 'permission_denied',
  InternalServiceError: 'backend_unavailable',
  InternalServiceErrorException: 'backend_unavailable',
  InternalFailure: 'backend_unavailable',
  ServiceUnavailable: 'backend_unavailable',
  ServiceUnavailableException: 'backend_unavailable',
  AbortError: 'backend_timeout',
  TimeoutError: 'backend_timeout',
}

const THROTTLES = new Set([
  'ThrottlingException',
  'Throttling',
  'ThrottledException',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'SlowDown',
])

/** AWS asks for fewer calls of this account and region, whichever secret they are about. */
export function isThrottle(error: unknown): boolean {
  return THROTTLES.has(wordOf(error, 'name') ?? '') || statusOf(error) === 429
}

/**
 * A new error about `what` we were doing. Nothing of the SDK's error is kept but its name and code: messages can
 * quote the body, and a parse error always does.
 */
export function rebuilt(error: unknown, what: string): RekeyError {
  if (RekeyError.is(error)) return error
  // The code before the name: the SDK names a cut connection (ECONNRESET, EPIPE) TimeoutError.
  const code = wordOf(error, 'code')
  const untrusted = code && untrustedCertificate(code)
  if (untrusted) return new RekeyError('backend_unavailable', `${what}: ${untrusted}`)
  if (code && /^(E[A-Z]+|ERR_[A-Z_]+)$/.test(code)) {
    const hint = code === 'ENOTFOUND' ? '; is there such a region?' : ''
    return new RekeyError(
      'backend_unavailable',
      `${what}: AWS could not be reached, or cut the call (${code})${hint}`,
    )
  }
  const name = wordOf(error, 'name')
  const known = name && NAMES[name]
  if (known) return new RekeyError(known, `${what}: AWS answered ${name}`)
  const status = statusOf(error)
  const seen = status === undefined ? 'something that is not its answer' : String(status)
  if (status === 429) return new RekeyError('throttled', `${what}: AWS answered ${seen}`)
  if (status !== undefined && status >= 500) {
    return new RekeyError('backend_unavailable', `${what}: AWS answered ${seen}`)
  }
  return new RekeyError('bad_response', `${what}: AWS answered ${seen}`)
}

/** A short plain word of an error; anything else could be text that the server sent. */
function wordOf(error: unknown, field: 'name' | 'code'): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const word = (error as Record<string, unknown>)[field]
  return typeof word === 'string' && /^[A-Za-z_]{2,60}$/.test(word) ? word : undefined
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined
  const metadata = error.$metadata
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined
}
