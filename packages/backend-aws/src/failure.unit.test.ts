import { expectNoLeak, plantedSecret } from '@rekey/testing'
import { expect, test } from 'vitest'
import { isThrottle, rebuilt } from './failure.ts'

const named = (name: string, more: object = {}) => Object.assign(new Error('x'), { name, ...more })

test.each([
  ['ResourceNotFoundException', 'not_found'],
  ['ThrottlingException', 'throttled'],
  ['AccessDeniedException', 'permission_denied'],
  ['UnrecognizedClientException', 'permission_denied'],
  ['ResourceExistsException', 'already_exists'],
  ['InternalServiceError', 'backend_unavailable'],
  ['DecryptionFailure', 'permission_denied'],
] as const)('takes %s for %s, whatever the status', (name, code) => {
  expect(rebuilt(named(name, { $metadata: { httpStatusCode: 418 } }), 'try').code).toBe(code)
})

test('takes a cut connection for what it is, although the SDK names it TimeoutError', () => {
  expect(rebuilt(named('TimeoutError', { code: 'ECONNRESET' }), 'try').code).toBe('backend_unavailable')
})

test('falls back to the status for a name that it does not know', () => {
  expect(rebuilt(named('Strange', { $metadata: { httpStatusCode: 503 } }), 'try').code).toBe(
    'backend_unavailable',
  )
  expect(rebuilt(named('Strange', { $metadata: { httpStatusCode: 429 } }), 'try').code).toBe('throttled')
  expect(rebuilt(named('Strange'), 'try').code).toBe('bad_response')
})

test('keeps nothing that the server or a parser said', () => {
  const secret = plantedSecret()
  const raw = Object.assign(new SyntaxError(`Unexpected token in ${secret.reveal()}`), {
    $response: { body: secret.reveal() },
    name: secret.reveal(),
    code: secret.reveal(),
    cause: new Error(secret.reveal()),
  })
  expectNoLeak(rebuilt(raw, 'read the secret x'), secret)
})

test.each([
  ['ThrottlingException', 400, true],
  ['Strange', 429, true],
  // Of one secret or one user, and nothing that a pause of all would help.
  ['LimitExceededException', 400, false],
  ['EntityTemporarilyUnmodifiableException', 409, false],
  ['InternalServiceError', 500, false],
])('%s with %i asks for fewer calls: %s', (name, httpStatusCode, is) => {
  expect(isThrottle(named(name, { $metadata: { httpStatusCode } }))).toBe(is)
})

test('a used-up quota is no throttling', () => {
  expect(rebuilt(named('LimitExceededException'), 'try').code).toBe('quota_exhausted')
})

test('a region that no name leads to is asked about', () => {
  expect(rebuilt(named('Error', { code: 'ENOTFOUND' }), 'try').message).toMatch(/is there such a region\?$/)
})

test('a certificate that is not trusted is no answer of AWS', () => {
  const error = rebuilt(named('Error', { code: 'CERT_HAS_EXPIRED' }), 'try')
  expect(error.code).toBe('backend_unavailable')
  expect(error.message).toMatch(/not trusted \(CERT_HAS_EXPIRED\)/)
})
