import { type ErrorCode, RekeyError, untrustedCertificate } from '@rekey/contracts'
import { RedisError } from './resp.ts'

const WORDS: Record<string, [code: ErrorCode, words: string]> = {
  WRONGPASS: ['permission_denied', 'the connection was refused: wrong user or password'],
  NOAUTH: ['permission_denied', 'the connection has no user'],
  NOPERM: ['permission_denied', "its connection lacks a permission: see the package's README"],
  EXECABORT: ['permission_denied', "its connection lacks a permission: see the package's README"],
  LOADING: ['backend_unavailable', 'the server is loading its data'],
  READONLY: ['backend_unavailable', 'the server is a replica'],
  MASTERDOWN: ['backend_unavailable', 'the server has lost its primary'],
}

/** A new error about `what` we were doing. Nothing of the raw one is kept but its first word. */
export function rebuilt(error: unknown, what: string, signal: AbortSignal): RekeyError {
  if (RekeyError.is(error)) return error
  if (signal.aborted) return new RekeyError('backend_timeout', `${what}: the deadline passed`)
  if (error instanceof RedisError) {
    if (error.isFull) return new RekeyError('throttled', `${what}: too many clients`)
    const [code, words] = WORDS[error.word] ?? ['bad_response', 'unexpected']
    return new RekeyError(code, `${what}: ${words} (${error.word})`)
  }
  const word = wordOf(error)
  return new RekeyError('backend_unavailable', `${what}: ${untrustedCertificate(word) ?? word}`)
}

/** A word such as ECONNREFUSED. Anything longer could be a text that quotes something. */
export function wordOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^[A-Z0-9_]{3,40}$/.test(code) ? code : 'no connection'
}
