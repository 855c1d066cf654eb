import { expectNoLeak, plantedSecret } from '@rekey/testing'
import { expect, test } from 'vitest'
import { rebuilt } from './failure.ts'

const answer = (statusCode: number, ...errors: string[]) =>
  Object.assign(new Error(errors[0]), { response: { statusCode, body: { errors } } })

test.each([
  [503, 'Vault is sealed', 'sealed'],
  [503, 'something else', 'backend_unavailable'],
  [400, 'invalid role or secret ID', 'permission_denied'],
  [400, 'wrapping token is not valid or does not exist', 'permission_denied'],
  [403, 'permission denied', 'permission_denied'],
  [404, 'no handler for route "x/y"', 'not_found'],
  [400, 'role "x" does not exist', 'not_found'],
  [429, 'request path "x": rate limit quota exceeded', 'throttled'],
  [500, 'local node not active but active cluster node not found', 'backend_unavailable'],
  [500, 'unable to create new user: failed to connect to `host=db`: dial error', 'backend_unavailable'],
  [500, 'unable to create new user: ERROR: permission denied (SQLSTATE 42501)', 'permission_denied'],
  [500, 'unable to create new user: FATAL: no login (SQLSTATE 28000)', 'permission_denied'],
  [400, 'failed to revoke entry: unable to delete user: depends (SQLSTATE 2BP01)', 'invalid_configuration'],
  [
    500,
    'unable to finish rotating credentials; retries will continue in the background: x',
    'backend_unavailable',
  ],
  [500, 'unable to finish rotating credentials: denied to alter role (SQLSTATE 42501)', 'permission_denied'],
  [500, 'unable to finish rotating credentials: role missing (SQLSTATE 42704)', 'invalid_configuration'],
  [500, '1 error occurred: * duplicate item', 'backend_unavailable'],
  [400, 'no static role found for role name', 'not_found'],
  [307, '', 'bad_response'],
  [418, '', 'bad_response'],
] as const)('takes %i with %j for %s', (status, words, code) => {
  expect(rebuilt(answer(status, words), 'try').code).toBe(code)
})

test('repeats only sentences that Vault has in its source, never what it quotes', () => {
  const secret = plantedSecret()
  for (const words of [
    `error parsing ${secret.reveal()}`,
    `permission denied: ${secret.reveal()}`,
    `URI ${secret.reveal()} not allowed`,
    `unable to create new user: ERROR: in "CREATE ROLE x PASSWORD '${secret.reveal()}'" (SQLSTATE 42601)`,
  ]) {
    expectNoLeak(rebuilt(answer(400, words), 'write secret/x'), secret)
  }
})

test('keeps nothing of an error that it does not know', () => {
  const secret = plantedSecret()
  const raw = Object.assign(new Error(secret.reveal()), { config: { headers: { token: secret.reveal() } } })
  const error = rebuilt(raw, 'write secret/x')
  expectNoLeak(error, secret)
  expect(error.code).toBe('bad_response')
  expect(error.cause).toBeUndefined()
})
