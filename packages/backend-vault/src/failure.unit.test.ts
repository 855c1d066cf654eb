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
  [429, 'request path "x": rate limit quota exceeded', 'throttled'],
  [500, 'local node not active but active cluster node not found', 'backend_unavailable'],
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
