import { type ErrorCode, RekeyError, untrustedCertificate } from '@rekey/contracts'
import pg from 'pg'

/** What PostgreSQL's codes mean for whoever manages a pair. Of its texts none is repeated: they can quote statements. */
const CODES: Record<string, [code: ErrorCode, words: string]> = {
  '28P01': ['permission_denied', 'the connection was refused: wrong user or password'],
  '28000': ['permission_denied', 'the connection was refused: this user may not log in from here'],
  '42501': [
    'permission_denied',
    'its connection needs CREATEROLE, ADMIN OPTION on both roles, pg_signal_backend, and SELECT and UPDATE on rekey.role_slot',
  ],
  '3D000': ['not_found', 'there is no such database'],
  '42P01': [
    'not_found',
    'there is no table rekey.role_slot: run infra/postgres/role-pair.sql in this database',
  ],
  '3F000': ['not_found', 'there is no schema rekey: run infra/postgres/role-pair.sql in this database'],
  '42704': ['not_found', 'there is no such role or table: see infra/postgres/role-pair.sql'],
  '22023': ['value_refused', 'the server does not take this password'],
  '53300': ['throttled', 'too many connections'],
  '25006': ['backend_unavailable', 'the server is read-only; it may be a standby'],
  '55P03': ['backend_unavailable', 'somebody holds the lock'],
  '57014': ['backend_timeout', 'the server cut the statement off'],
  '40001': ['backend_unavailable', 'the transaction met another one'],
  '40P01': ['backend_unavailable', 'the transaction met another one'],
}

/** Whole classes of codes, where the code itself is not listed. */
const CLASSES: Record<string, ErrorCode> = {
  '08': 'backend_unavailable',
  '53': 'backend_unavailable',
  '57': 'backend_unavailable',
  '58': 'backend_unavailable',
}

export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined
}

/** A new error about `what` we were doing; `words` say of a code what it means there. Nothing of the raw one is kept: no cause, no text, no stack. */
export function rebuilt(
  error: unknown,
  what: string,
  signal: AbortSignal,
  words: Record<string, string> = {},
): RekeyError {
  if (RekeyError.is(error)) return error
  if (signal.aborted) return new RekeyError('backend_timeout', `${what}: the deadline passed`)
  const state = sqlStateOf(error)
  if (state === undefined) {
    const word = wordOf(error)
    return new RekeyError('backend_unavailable', `${what}: ${untrustedCertificate(word) ?? word}`)
  }
  const [code, meaning] = CODES[state] ?? [CLASSES[state.slice(0, 2)] ?? 'bad_response', 'unexpected']
  return new RekeyError(code, `${what}: ${words[state] ?? meaning} (${state})`)
}

/** A word such as ECONNREFUSED. Anything longer could be a text that quotes something. */
export function wordOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^[A-Z0-9_]{3,40}$/.test(code) ? code : 'no connection'
}
