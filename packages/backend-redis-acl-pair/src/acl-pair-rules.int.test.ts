import type { Secret } from '@rekey/contracts'
import { call, safeErrorOf } from '@rekey/testing'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { givenRedisAclPair, type RedisPairUnderTest } from '../test/given-redis-acl-pair.ts'
import { withRedis } from './connection.ts'
import { tryRedisLogin } from './index.ts'
import { digestOf, strongLoginOf } from './login.ts'

let given: RedisPairUnderTest
beforeEach(async () => {
  given = await givenRedisAclPair(inject('stack').redisUrl)
})
afterEach(() => given.close())

/** A new generation, made and installed. */
async function installed(generation: number): Promise<Secret> {
  const value = await given.authority.make(generation, call('make'))
  await given.authority.install({ generation, keyId: `key-${generation}`, value }, call('install'))
  return value
}

/** A client with a value, as an application has it, until `leave`. */
async function session(value: Secret) {
  const login = strongLoginOf(value)
  const leaving = Promise.withResolvers<void>()
  const there = Promise.withResolvers<void>()
  const as = { username: login.username, password: login.password, name: 'shop' }
  const over = withRedis(login, as, AbortSignal.timeout(20_000), async (ask) => {
    there.resolve()
    await leaving.promise
    await ask(['GET', `${login.username.slice(0, -2)}:x`])
  })
  over.catch(there.reject)
  await there.promise
  return {
    /** Resolves where the session was alive to the end. */
    async leave() {
      leaving.resolve()
      await over
    },
  }
}

const flagsOf = async (user: string) => {
  const [reply] = await given.admin(['ACL', 'GETUSER', user])
  return Array.isArray(reply) ? JSON.stringify(reply[1]) : ''
}

test('users take turns, and neither password nor value is sent, or kept at the server', async () => {
  const values = [await installed(1), await installed(2)]
  expect(values.map((value) => strongLoginOf(value).username)).toEqual(given.users)
  await given.authority.revoke(1, call('revoke'))
  values.push(await installed(3))
  expect(strongLoginOf(values[2] as Secret).username).toBe(given.users[0])
  const [list] = await given.admin(['ACL', 'LIST'])
  for (const value of values) {
    const { password } = strongLoginOf(value)
    expect(JSON.stringify(list)).not.toContain(password)
    // Only what the tries send, as a client would.
    for (const message of given.sent().split('*')) {
      if (message.includes(password)) expect(message).toContain('HELLO')
    }
  }
  expect(JSON.stringify(list)).toContain(digestOf(strongLoginOf(values[1] as Secret).password))
})

test('permissions stay as they are, and are the same for both', async () => {
  const permissions = async () => {
    const [list] = await given.admin(['ACL', 'LIST'])
    const lines = (list as string[]).filter((line) => given.users.some((user) => line.includes(` ${user} `)))
    return lines.map((line) => line.replace(/^user \S+ (on|off) /, '').replace(/#\w+ /g, ''))
  }
  const before = await permissions()
  expect(new Set(before).size).toBe(1)
  await installed(1)
  await installed(2)
  await given.authority.revoke(1, call('revoke'))
  expect(await permissions()).toEqual(before)
  await given.admin(['ACL', 'SETUSER', given.users[0] ?? '', '+set'])
  const error = await safeErrorOf((async () => given.authority.make(3, call('make')))())
  expect(error.code).toBe('roles_differ')
  // What ends a generation is not held up by it.
  await given.authority.revoke(2, call('revoke'))
  expect(await flagsOf(given.users[1] ?? '')).toContain('off')
})

test('sessions of a generation are counted while it lives and after its end, tries are not, and all are ended', async () => {
  const value = await installed(1)
  const clients = [await session(value), await session(value)]
  expect(await tryRedisLogin(value, AbortSignal.timeout(5_000))).toBe('accepted')
  expect(await given.authority.sessions(1, call('sessions'))).toBe(2)
  expect(await given.authority.sessions(2, call('sessions'))).toBe(0)
  await given.authority.suspend(1, call('suspend'))
  expect(await tryRedisLogin(value, AbortSignal.timeout(5_000))).toBe('refused')
  expect(await given.authority.sessions(1, call('sessions'))).toBe(2)
  // Whoever is in stays in.
  await clients[0]?.leave()
  await given.authority.revoke(1, call('revoke'))
  await expect.poll(() => given.authority.sessions(1, call('sessions'))).toBe(1)
  await given.authority.endSessions(1, call('endSessions'))
  expect(await given.authority.sessions(1, call('sessions'))).toBe(0)
  await expect(clients[1]?.leave()).rejects.toThrow()
})

test('sessions that outlived their generation are ended before its user serves another one', async () => {
  const left = await session(await installed(1))
  await installed(2)
  await given.authority.revoke(1, call('revoke'))
  await installed(3)
  expect(await given.authority.sessions(3, call('sessions'))).toBe(0)
  await expect(left.leave()).rejects.toThrow()
})

test('a user that is missing is said so', async () => {
  await given.admin(['ACL', 'DELUSER', given.users[1] ?? ''])
  const error = await safeErrorOf((async () => given.authority.make(1, call('make')))())
  expect(error.code).toBe('not_found')
  expect(error.message).toContain(given.users[1])
})

test('what was revoked is off and without a password, whatever the pair was before', async () => {
  const value = await installed(1)
  await given.authority.revoke(1, call('revoke'))
  expect(await flagsOf(given.users[0] ?? '')).toContain('off')
  await given.admin(['ACL', 'SETUSER', given.users[0] ?? '', 'on'])
  expect(await tryRedisLogin(value, AbortSignal.timeout(5_000))).toBe('refused')
})
