import { type ErrorCode, RekeyError } from '@rekey/contracts'

/** By name, never by status: AWS says 400 for nearly everything. */
const NAMES: Record<string, ErrorCode> = {
  ResourceNotFoundException: 'not_found',
  ResourceExistsException: 'already_exists',
  InvalidParameterException: 'invalid_configuration',
  InvalidRequestException: 'invalid_configuration',
  ValidationException: 'invalid_configuration',
  MalformedPolicyDocumentException: 'invalid_configuration',
  PreconditionNotMetException: 'invalid_configuration',
  LimitExceededException: 'throttled',
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

/**
 * A new error about `what` we were doing. Nothing of the SDK's error is kept but its name and code: messages can
 * quote the body, and a parse error always does.
 */
export function rebuilt(error: unknown, what: string): RekeyError {
  if (RekeyError.is(error)) return error
  // The code before the name: the SDK names a cut connection (ECONNRESET, EPIPE) TimeoutError.
  const code = wordOf(error, 'code')
  if (code && /^(E[A-Z]+|ERR_[A-Z_]+)$/.test(code)) {
    return new RekeyError(
      'backend_unavailable',
      `${what}: AWS could not be reached, or cut the call (${code})`,
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
