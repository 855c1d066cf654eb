import { Secret } from '@rekey/contracts'
import { safeErrorOf } from '@rekey/testing'
import { expect, test } from 'vitest'
import { managerOf, placeOf } from './place.ts'

test.each([
  [
    'postgres://db.example/shop',
    { host: 'db.example', port: 5432, database: 'shop', sslmode: 'verify-full' },
  ],
  ['postgres://127.0.0.1:6000/shop', { host: '127.0.0.1', port: 6000, database: 'shop', sslmode: 'disable' }],
  ['postgresql://[::1]/shop', { host: '::1', port: 5432, database: 'shop', sslmode: 'disable' }],
  ['postgres://db/shop?sslmode=disable', { host: 'db', port: 5432, database: 'shop', sslmode: 'disable' }],
])('reads %s, and checks certificates wherever there is a network between', (text, place) => {
  expect(placeOf(text)).toEqual(place)
})

test('reads who manages the pair', () => {
  expect(managerOf(Secret.of('postgres://rekey:p%40ss@db/shop'), 'shop')).toMatchObject({
    user: 'rekey',
    password: 'p@ss',
    host: 'db',
  })
})

test.each([
  'postgres://rekey:planted-secret-text@',
  'host=db password=planted-secret-text',
  'postgres://:planted-secret-text@db/shop',
  'postgres://rekey:planted-secret-text%@db/shop',
])('repeats nothing of a DSN that it cannot read', async (text) => {
  const dsn = Secret.of(text)
  const error = await safeErrorOf((async () => managerOf(dsn, 'shop'))(), dsn)
  expect(error.code).toBe('invalid_configuration')
  expect(error.message).toContain('connection shop')
})
