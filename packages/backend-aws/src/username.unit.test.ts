import { Secret } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { usernameIn } from './username.ts'

test('a value of a database names its user', () => {
  expect(usernameIn(Secret.of('{"username":"app","password":"planted"}'))).toBe('app')
})

test.each([
  'no json{',
  '"text"',
  'null',
  '{}',
  '{"username":"app"}',
  '{"username":"","password":"x"}',
  '{"username":1,"password":"x"}',
])('nothing else does: %s', (text) => {
  expect(usernameIn(Secret.of(text))).toBeUndefined()
})
