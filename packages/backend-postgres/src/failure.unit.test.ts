import { RekeyError } from '@rekey/contracts'
import pg from 'pg'
import { expect, test } from 'vitest'
import { rebuilt } from './failure.ts'

const going = new AbortController().signal

function databaseError(code: string): pg.DatabaseError {
  const error = new pg.DatabaseError('a text that quotes rk_something', 10, 'error')
  error.code = code
  return error
}

test.each([
  ['28P01', 'permission_denied', false],
  ['42501', 'permission_denied', false],
  ['3D000', 'not_found', false],
  ['42P01', 'not_found', false],
  ['22023', 'value_refused', false],
  ['53300', 'throttled', true],
  ['53100', 'backend_unavailable', true],
  ['57P01', 'backend_unavailable', true],
  ['57P03', 'backend_unavailable', true],
  ['08006', 'backend_unavailable', true],
  ['25006', 'backend_unavailable', true],
  ['55P03', 'backend_unavailable', true],
  ['XX000', 'bad_response', true],
])('%s is %s, and repeats nothing of what the server said', (state, code, retryable) => {
  const error = rebuilt(databaseError(state), 'the installation', going)
  expect({ code: error.code, retryable: error.retryable }).toEqual({ code, retryable })
  expect(error.message).toContain(state)
  expect(error.message).not.toContain('rk_something')
  expect(error.cause).toBeUndefined()
})

test('a deadline that passed is said before anything that followed from it', () => {
  expect(rebuilt(new Error('Connection terminated'), 'x', AbortSignal.abort()).code).toBe('backend_timeout')
})

test('of other failures only a code is repeated', () => {
  const error = Object.assign(new Error('connect to rk_something'), { code: 'ECONNREFUSED' })
  expect(rebuilt(error, 'x', going).message).toBe('x: ECONNREFUSED')
  expect(rebuilt(Object.assign(error, { code: 'rk something' }), 'x', going).message).toBe('x: no connection')
  const known = new RekeyError('roles_differ', 'as it is')
  expect(rebuilt(known, 'x', going)).toBe(known)
})

test('a certificate that is not trusted is named, with what to do', () => {
  const error = Object.assign(new Error('x'), { code: 'SELF_SIGNED_CERT_IN_CHAIN' })
  const { code, message } = rebuilt(error, 'x', going)
  expect(code).toBe('backend_unavailable')
  expect(message).toMatch(/not trusted \(SELF_SIGNED_CERT_IN_CHAIN\).*NODE_EXTRA_CA_CERTS/)
})
