import { Secret } from '@rekey/contracts'
import { expectNoLeak, safeErrorOf } from '@rekey/testing'
import { describe, expect, test } from 'vitest'
import { loginOf, newLogin, secretOf, strongLoginOf } from './login.ts'

const place = { host: 'db.example', port: 5432, database: 'shop', sslmode: 'verify-full' as const }

describe('a value', () => {
  test('is one line of JSON with all that a client needs', () => {
    const value = newLogin('shop_app_a', place)
    expect(value.reveal()).not.toContain('\n')
    expect(JSON.parse(value.reveal())).toEqual({
      username: 'shop_app_a',
      password: expect.stringMatching(/^rk_[A-Za-z0-9_-]{43}$/),
      host: 'db.example',
      port: 5432,
      dbname: 'shop',
      sslmode: 'verify-full',
    })
  })

  test.each(['not JSON', '"text"', '{}', '{"username":"a","password":"planted-secret-text"'])(
    'is no login where it is %s',
    (text) => {
      expect(loginOf(Secret.of(text))).toBeUndefined()
    },
  )
})

describe('what a rotation function of AWS writes', () => {
  const text = { engine: 'postgres', username: 'app', password: 'planted', host: 'db.example' }
  const sslmode = (more: object) => loginOf(Secret.of(JSON.stringify({ ...text, ...more })))?.sslmode

  test('is a login, with what it leaves out', () => {
    expect(loginOf(Secret.of(JSON.stringify({ ...text, port: '6543', masterarn: 'arn' })))).toEqual({
      username: 'app',
      password: 'planted',
      host: 'db.example',
      port: 6543,
      dbname: 'postgres',
      sslmode: 'verify-full',
    })
    expect(loginOf(Secret.of(JSON.stringify(text)))?.port).toBe(5432)
  })

  test('says whether it is TLS, in one of two ways; on the same host it need not be', () => {
    expect([sslmode({ ssl: false }), sslmode({ ssl: 'false' })]).toEqual(['disable', 'disable'])
    expect([sslmode({ ssl: true }), sslmode({ host: '127.0.0.1', ssl: 'true' })]).toEqual([
      'verify-full',
      'verify-full',
    ])
    expect([sslmode({ host: 'localhost' }), sslmode({ sslmode: 'disable' })]).toEqual(['disable', 'disable'])
  })
})

describe('what may be installed', () => {
  const login = {
    username: 'shop_app_a',
    host: 'db',
    port: 5432,
    dbname: 'shop',
    sslmode: 'disable' as const,
  }
  test.each(['planted-short', `planted-'; 0e1f2a3b4c5d6e7f`, 'planted-0e1f2a3b4c 5d6e7f8a'])(
    'has no password such as this: %s',
    async (password) => {
      const value = secretOf({ ...login, password })
      const error = await safeErrorOf((async () => strongLoginOf(value))(), Secret.of(password))
      expect(error.code).toBe('value_refused')
    },
  )

  test('is told apart without repeating any of it', async () => {
    const value = Secret.of('{"username":"a","password":"planted-secret-text"')
    const error = await safeErrorOf((async () => strongLoginOf(value))(), value)
    expectNoLeak(error, Secret.of('planted-secret-text'))
  })
})
