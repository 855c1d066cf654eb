import { readFile } from 'node:fs/promises'
import { Secret } from '@rekey/contracts'
import { call, safeErrorOf } from '@rekey/testing'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { givenRedisAclPair, type RedisPairUnderTest } from '../test/given-redis-acl-pair.ts'
import { tryRedisLogin } from './index.ts'
import { digestOf, strongLoginOf } from './login.ts'
import { FRESH_MARK } from './mark.ts'

let given: RedisPairUnderTest
beforeEach(async () => {
  given = await givenRedisAclPair(inject('stack').redisUrl)
})
afterEach(() => given.close())

const made = async (generation: number): Promise<Secret> => given.another.make(generation, call('make'))
const stored = (generation: number, value: Secret) => ({ generation, keyId: `key-${generation}`, value })

test('users take turns, and neither password nor value is sent, or kept at the server', async () => {
  const { authority, users, admin, sent } = given
  const values: Secret[] = []
  for (const generation of [1, 2, 3]) {
    if (generation === 3) await authority.revoke(1, call('revoke'))
    const value = await authority.make(generation, call('make'))
    await authority.install(stored(generation, value), call('install'))
    values.push(value)
  }
  expect(values.map((value) => strongLoginOf(value).username)).toEqual([...users, users[0]])
  const [list] = await admin(['ACL', 'LIST'])
  for (const value of values) {
    const { password } = strongLoginOf(value)
    expect(JSON.stringify(list)).not.toContain(password)
    // Only what the tries send, as a client would.
    for (const message of sent().split('*')) {
      if (message.includes(password)) expect(message).toContain('HELLO')
    }
  }
  expect(JSON.stringify(list)).toContain(digestOf(strongLoginOf(values[1] as Secret).password))
})

test('permissions stay as they are through all of it', async () => {
  const { users, admin, another, installed } = given
  const permissions = async () => {
    const [list] = await admin(['ACL', 'LIST'])
    const lines = (list as string[]).filter((line) => users.some((user) => line.includes(` ${user} `)))
    return lines.map((line) => line.replace(/^user \S+ (on|off) /, '').replace(/#\w+ /g, ''))
  }
  const before = await permissions()
  expect(new Set(before).size).toBe(1)
  await installed(1)
  await installed(2)
  await another.suspend(1, call('suspend'))
  await another.revoke(1, call('revoke'))
  expect(await permissions()).toEqual(before)
})

const DIFFERENCES: [what: string, rule: string, field: RegExp][] = [
  ['a command', '+set', /commands/],
  ['a key pattern', '~other:*', /keys/],
  ['a channel', '&news', /channels/],
  ['a selector', '(+get ~else:*)', /selectors/],
]
test.each(DIFFERENCES)(
  'users that differ in %s are no pair, and what ends a generation is not held up by it',
  async (...row) => {
    const [, rule, field] = row
    const { users, admin, another, installed, shown } = given
    await installed(1)
    await admin(['ACL', 'SETUSER', users[1], rule])
    const error = await safeErrorOf(made(2))
    expect(error).toMatchObject({ code: 'roles_differ', message: expect.stringMatching(field) })
    await another.revoke(1, call('revoke'))
    expect(await shown(users[0])).toBe('off, 0')
  },
)

test('which databases a user may use counts too, where the server knows of that', async ({ skip }) => {
  const { users, admin } = given
  const knows = await admin(['ACL', 'SETUSER', users[1], 'resetdbs', 'db=0']).catch(() => undefined)
  if (!knows) return skip('this server has no databases in its ACL')
  expect(await safeErrorOf(made(1))).toMatchObject({
    code: 'roles_differ',
    message: expect.stringMatching(/databases/),
  })
})

describe('sessions', () => {
  test('are counted while a generation lives, tries are not, and whoever is in stays in while it is suspended', async () => {
    const { another, installed, session } = given
    const value = await installed(1)
    const clients = [await session(value), await session(value)]
    expect(await tryRedisLogin(value, AbortSignal.timeout(5_000))).toBe('accepted')
    expect(await another.sessions(1, call('sessions'))).toBe(2)
    await another.suspend(1, call('suspend'))
    expect(await tryRedisLogin(value, AbortSignal.timeout(5_000))).toBe('refused')
    expect(await another.sessions(1, call('sessions'))).toBe(2)
    for (const client of clients) await client.leave()
    await expect.poll(() => another.sessions(1, call('sessions'))).toBe(0)
  })

  test('end with the revocation, and with another one where somebody switched the user off already', async () => {
    const { another, installed, session, users, admin, shown } = given
    const one = await session(await installed(1))
    await another.revoke(1, call('revoke'))
    await expect(one.leave()).rejects.toThrow()
    const two = await session(await installed(2))
    await admin(['ACL', 'SETUSER', users[1], 'off'])
    await another.revoke(2, call('revoke'))
    await expect(two.leave()).rejects.toThrow()
    expect(await shown(users[1])).toBe('off, 0')
  })

  test('that were left by a revocation that died on its way are ended by the next one', async () => {
    const { another, authority, faults, installed, session } = given
    const left = await session(await installed(1))
    // Login, look, change, look: it dies before it ends anybody.
    faults.loseRequest(4)
    expect((await safeErrorOf(authority.revoke(1, call('revoke')))).retryable).toBe(true)
    faults.heal()
    expect(await another.sessions(1, call('sessions'))).toBe(1)
    await another.revoke(1, call('revoke'))
    await expect(left.leave()).rejects.toThrow()
    await expect.poll(() => another.sessions(1, call('sessions'))).toBe(0)
  })
})

describe('what comes late', () => {
  test.each([3, 4, 5, 6])(
    'a revocation that is paused before its message %i ends nobody who came since',
    async (nth) => {
      const { another, authority, faults, installed, session, tried } = given
      await installed(1)
      await installed(2)
      let third: Secret | undefined
      let theirs: Awaited<ReturnType<typeof session>> | undefined
      faults.meanwhile(nth, async () => {
        await another.revoke(1, call('revoke'))
        third = await installed(3)
        theirs = await session(third)
      })
      await authority.revoke(1, call('revoke'))
      faults.heal()
      // It has fewer messages than that.
      if (!third) return expect(nth).toBeGreaterThan(5)
      expect(await tried(third)).toBe('accepted')
      await theirs?.leave()
      expect(await another.sessions(2, call('sessions'))).toBe(0)
    },
  )

  test.each([3, 4])(
    'an end of sessions that is paused before its message %i ends nobody who came since',
    async (nth) => {
      const { another, authority, faults, installed, session } = given
      const old = await session(await installed(1))
      await installed(2)
      await another.suspend(1, call('suspend'))
      let theirs: Awaited<ReturnType<typeof session>> | undefined
      faults.meanwhile(nth, async () => {
        await another.revoke(1, call('revoke'))
        theirs = await session(await installed(3))
      })
      await authority.endSessions(1, call('end'))
      faults.heal()
      await expect(old.leave()).rejects.toThrow()
      await theirs?.leave()
      expect(theirs).toBeDefined()
    },
  )

  test.each([2, 3, 4])(
    'an installation that is paused before its message %i cuts nobody off',
    async (nth) => {
      const { another, authority, faults, session, tried } = given
      const value = stored(1, await made(1))
      let theirs: Awaited<ReturnType<typeof session>> | undefined
      faults.meanwhile(nth, async () => {
        await another.install(value, call('install'))
        theirs = await session(value.value)
      })
      await authority.install(value, call('install'))
      faults.heal()
      await theirs?.leave()
      expect(theirs).toBeDefined()
      expect(await tried(value.value)).toBe('accepted')
    },
  )

  test('of two that make at once, both name the same user', async () => {
    const { authority, another } = given
    const values = await Promise.all(
      Array.from({ length: 8 }, (_, at) => (at % 2 === 0 ? authority : another).make(1, call('make'))),
    )
    expect(new Set(values.map((value) => strongLoginOf(value).username)).size).toBe(1)
  })

  test('of two pairs of workers that end and install at once, no more is left than was asked', async () => {
    const { authority, another, installed, shown, users, tried } = given
    await installed(1)
    const second = stored(2, await made(2))
    await Promise.all([
      authority.install(second, call('install')),
      another.install(second, call('install')),
      authority.revoke(1, call('revoke')),
      another.revoke(1, call('revoke')),
    ])
    expect(await tried(second.value)).toBe('accepted')
    expect([await shown(users[0]), await shown(users[1])]).toEqual(['off, 0', 'on, 1'])
  })
})

test('sessions of an ended generation are gone before its user serves another one', async () => {
  const { another, installed, session, users, admin } = given
  await installed(1)
  await installed(2)
  await another.revoke(1, call('revoke'))
  // Somebody let them in again for a moment.
  const password = `planted-${'x'.repeat(20)}`
  await admin(['ACL', 'SETUSER', users[0], 'on', `>${password}`])
  const left = await session(given.shaped?.(Secret.of(password), 1) as Secret)
  await admin(['ACL', 'SETUSER', users[0], 'off', `<${password}`])
  await installed(3)
  expect(await another.sessions(3, call('sessions'))).toBe(0)
  await expect(left.leave()).rejects.toThrow()
})

test('the mark that the guide gives to users is the fresh one', async () => {
  const guide = new URL('../../../docs/guides/redis-login.md', import.meta.url)
  expect(await readFile(guide, 'utf8')).toContain(`MARK=${FRESH_MARK}\n`)
})
