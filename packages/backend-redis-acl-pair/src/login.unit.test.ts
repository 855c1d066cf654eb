import { Secret } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { managerOf, secretOf } from './login.ts'

const login = { username: 'rekey_shop', password: 'p@ss', host: 'cache', port: 6380, tls: true }

test('who manages a pair is a login as Rekey makes them, or a URL', () => {
  expect(managerOf(secretOf(login), 'shop')).toEqual(login)
  expect(managerOf(Secret.of('rediss://rekey_shop:p%40ss@cache:6380\n'), 'shop')).toEqual(login)
})

test.each(['', '{"username":"x"}', 'http://a:b@cache', 'redis://cache', 'redis://a:%zz@cache'])(
  'anything else is said to be wrong, and not repeated: %s',
  (text) => {
    expect(() => managerOf(Secret.of(`${text}`), 'shop')).toThrow(/^the file of connection shop must hold/)
  },
)
