import { type ErrorCode, RekeyError, untrustedCertificate } from '@rekey/contracts'
import { type Meaning, RedisError } from './resp.ts'

const WORDS: Record<string, [code: ErrorCode, words: string]> = {
  WRONGPASS: ['permission_denied', 'the connection was refused: wrong user or password'],
  NOAUTH: ['permission_denied', 'the connection has no user'],
  LOADING: ['backend_unavailable', 'the server is loading its data'],
  OOM: ['backend_unavailable', 'the server is out of memory: free some, or raise maxmemory'],
  MISCONF: ['backend_unavailable', 'the server cannot save its data: see its log'],
  READONLY: ['backend_unavailable', 'the server is a replica'],
  MASTERDOWN: ['backend_unavailable', 'the server has lost its primary'],
}

const MEANINGS: Record<Meaning, [code: ErrorCode, words: string]> = {
  full: ['throttled', 'too many clients'],
  changed: ['backend_unavailable', 'somebody else changes the users all the time'],
  noAclFile: [
    'invalid_configuration',
    'it is done, and would be undone by a restart: the server has no aclfile. Set one in its configuration, or say aclFile: false in the credential if its users are kept in another way',
  ],
  notSaved: [
    'backend_unavailable',
    "it is done, and would be undone by a restart: the server cannot write its aclfile. Look at the server's log, at the rights on the file and its folder, and at the space on its disk",
  ],
}

/** A new error about `what` we were doing. Nothing of the raw one is kept but its first word, and which command of ours it was. */
export function rebuilt(error: unknown, what: string, signal: AbortSignal): RekeyError {
  if (RekeyError.is(error)) return error
  if (signal.aborted) return new RekeyError('backend_timeout', `${what}: the deadline passed`)
  if (error instanceof RedisError) {
    const { word, command, meaning } = error
    if (word === 'NOPERM')
      return new RekeyError(
        'permission_denied',
        `${what}: its connection lacks +${command.replace(' ', '|')}`,
      )
    const [code, words] = (meaning && MEANINGS[meaning]) ??
      WORDS[word] ?? ['bad_response', `unexpected, to ${command}`]
    return new RekeyError(code, `${what}: ${words} (${word})`)
  }
  const word = wordOf(error)
  return new RekeyError('backend_unavailable', `${what}: ${untrustedCertificate(word) ?? word}`)
}

/** A word such as ECONNREFUSED. Anything longer could be a text that quotes something. */
export function wordOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^[A-Z0-9_]{3,40}$/.test(code) ? code : 'no connection'
}
