import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { type Stack, startStack } from '@rekey/local'
import { call, safeErrorOf } from '@rekey/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { givenRedisAclPair, type RedisPairUnderTest } from '../test/given-redis-acl-pair.ts'
import { strongLoginOf } from './login.ts'
import { FRESH_MARK } from './mark.ts'

/** What Rekey knows of a user may be lost, or older than it was, or written by hand. The server is this file's own, and is killed. */
let own: Stack
let given: RedisPairUnderTest
beforeAll(async () => {
  own = await startStack({ only: ['redis'], own: true })
})
afterAll(() => own.stop())
beforeEach(async () => {
  given = await givenRedisAclPair(own.redis.url)
})
afterEach(() => given.close())

const aclFile = () => join(own.dir, 'data', 'redis', 'users.acl')

/** Kills the server and starts it again, with these users. */
async function restarted(users?: string): Promise<void> {
  await own.servers.redis.kill()
  if (users !== undefined) await writeFile(aclFile(), users)
  await own.servers.redis.start()
}

const verb = async (
  name: 'suspend' | 'reinstate' | 'revoke' | 'sessions' | 'endSessions',
  generation: number,
) => given.another[name](generation, call(name))
const ENDS = ['suspend', 'revoke', 'sessions', 'endSessions'] as const
const VERBS = [...ENDS, 'reinstate'] as const
const made = async (generation: number): Promise<Secret> => given.another.make(generation, call('make'))
const install = async (generation: number, value: Secret) =>
  given.another.install({ generation, keyId: `key-${generation}`, value }, call('install'))

describe('data are flushed, or lost with a restart', () => {
  test.each(['flush', 'restart'])('%s: every verb goes on as before', async (how) => {
    const { installed, tried, session, admin, users, shown } = given
    const [one, two] = [await installed(1), await installed(2)]
    if (how === 'flush') await admin(['FLUSHALL'])
    else await restarted()
    const working = await session(one)
    // A rollback: what was never in use is ended, and what is in use stays.
    expect(await verb('sessions', 1)).toBe(1)
    await verb('reinstate', 1)
    await verb('revoke', 2)
    expect([await tried(one), await tried(two)]).toEqual(['accepted', 'refused'])
    await working.leave()
    // What was ended before stays ended.
    expect((await safeErrorOf(install(2, two))).code).toBe('not_allowed_now')
    await install(3, await made(3))
    await verb('revoke', 1)
    expect(await shown(users[0])).toBe('off, 0')
  })
})

describe('the server comes back with older users', () => {
  test('what was ended, and is let in again, is ended again', async () => {
    const { installed, tried } = given
    const one = await installed(1)
    const older = await readFile(aclFile(), 'utf8')
    const two = await installed(2)
    await verb('revoke', 1)
    await restarted(older)
    expect([await tried(one), await tried(two)]).toEqual(['accepted', 'refused'])
    await verb('revoke', 1)
    expect(await tried(one)).toBe('refused')
    // That there is nobody as generation 2 is not known, and what is not there cannot be taken back.
    const error = await safeErrorOf(verb('sessions', 2))
    expect(error).toMatchObject({ code: 'not_found', message: expect.stringMatching(/older users/) })
    expect((await safeErrorOf(verb('reinstate', 2))).code).toBe('not_allowed_now')
    // The stores still hold it: it is put back as it was.
    await install(2, two)
    expect(await tried(two)).toBe('accepted')
  })

  test('with no room for the next generation: it says who has the users, and switches off nobody', async () => {
    const { installed, tried } = given
    const [one, two] = [await installed(1), await installed(2)]
    const older = await readFile(aclFile(), 'utf8')
    await verb('revoke', 1)
    await installed(3)
    await restarted(older)
    const error = await safeErrorOf(made(4))
    expect(error).toMatchObject({
      code: 'not_allowed_now',
      message: expect.stringMatching(
        /_a has generation 1 \(installed\), .*_b has generation 2 \(installed\)/,
      ),
    })
    expect([await tried(one), await tried(two)]).toEqual(['accepted', 'accepted'])
  })

  test('from before the pair was made', async () => {
    const { installed, admin, users } = given
    await installed(1)
    const text = await readFile(aclFile(), 'utf8')
    await restarted(
      text
        .split('\n')
        .filter((line) => !users.some((user) => line.includes(` ${user} `)))
        .join('\n'),
    )
    for (const name of VERBS)
      expect(await safeErrorOf(verb(name, 1)), name).toMatchObject({
        code: 'not_found',
        message: expect.stringContaining(`no user ${users[0]}`),
      })
    expect((await safeErrorOf(made(2))).code).toBe('not_found')
    // Nobody was made on the way.
    expect(await admin(...users.map((user) => ['ACL', 'GETUSER', user]))).toEqual([null, null])
  })
})

describe('one user is deleted', () => {
  test('the generation of the other one can be ended, and then it is said', async () => {
    const { installed, session, admin, users, shown } = given
    const working = await session(await installed(1))
    await admin(['ACL', 'DELUSER', users[1]])
    expect(await verb('sessions', 1)).toBe(1)
    await verb('suspend', 1)
    await verb('reinstate', 1)
    const error = await safeErrorOf(verb('revoke', 1))
    expect(error).toMatchObject({
      code: 'not_found',
      message: expect.stringContaining(`no user ${users[1]}`),
    })
    expect(await shown(users[0])).toBe('off, 0')
    await expect(working.leave()).rejects.toThrow()
    await admin(['ACL', 'SETUSER', users[1], 'off', `#${FRESH_MARK}`])
    await verb('revoke', 1)
  })

  test('and made again under another name: nothing of what it had is said to be ended', async () => {
    const { installed, admin, users } = given
    await installed(1)
    const [list] = await admin(['ACL', 'LIST'])
    const line = (list as string[]).find((one) => one.startsWith(`user ${users[0]} `)) ?? ''
    const rules = line
      .split(' ')
      .slice(2)
      .filter((rule) => rule.startsWith('#') || rule === 'on')
    await admin(['ACL', 'SETUSER', `${users[0]}_renamed`, ...rules], ['ACL', 'DELUSER', users[0]])
    for (const name of VERBS) expect((await safeErrorOf(verb(name, 1))).code, name).toBe('not_found')
    await admin(['ACL', 'DELUSER', `${users[0]}_renamed`])
  })
})

describe('a user loses its mark', () => {
  const LOSSES: [how: string, rules: string[], isIn: boolean][] = [
    ['its passwords are reset', ['resetpass'], false],
    ['its password is set anew', ['resetpass', `>planted-${'x'.repeat(22)}`, 'on'], true],
    ['it needs no password', ['nopass', 'on'], true],
  ]
  test.each(LOSSES)('%s: no verb says that the generation is out of use', async (_, rules, isIn) => {
    const { installed, tried, shaped, admin, users } = given
    await installed(1)
    await admin(['ACL', 'SETUSER', users[0], ...rules])
    for (const name of VERBS)
      expect(await safeErrorOf(verb(name, 1)), name).toMatchObject({
        code: 'not_found',
        message: expect.stringContaining(`${users[0]} has no mark`),
      })
    expect((await safeErrorOf(made(2))).code).toBe('not_found')
    const theirs = shaped?.(Secret.of(`planted-${'x'.repeat(22)}`), 1) as Secret
    expect(await tried(theirs)).toBe(isIn ? 'accepted' : 'refused')
  })

  test('a fresh one beside a password says nothing about whose that is', async () => {
    const { installed, admin, users, tried } = given
    const one = await installed(1)
    const [digest] = await digestsOf(users[0])
    await admin(['ACL', 'SETUSER', users[0], 'resetpass', `#${FRESH_MARK}`, `#${digest}`])
    expect(await tried(one)).toBe('accepted')
    for (const name of VERBS) expect((await safeErrorOf(verb(name, 1))).code, name).toBe('foreign_writer')
    // And not after that either, when its mark is another one.
    for (const name of ENDS) expect((await safeErrorOf(verb(name, 1))).code, name).toBe('foreign_writer')
    expect((await safeErrorOf(made(2))).code).toBe('foreign_writer')
    expect(await tried(one)).toBe('accepted')
    await admin(['ACL', 'SETUSER', users[0], 'off', 'resetpass', `#${FRESH_MARK}`])
    await verb('revoke', 1)
    await installed(2)
  })

  test('the mark of the other user is none, and two are one too many', async () => {
    const { installed, admin, users } = given
    await installed(1)
    await installed(2)
    const marks = await Promise.all(users.map(async (user) => (await digestsOf(user, true))[0] ?? ''))
    await admin(['ACL', 'SETUSER', users[0], `!${marks[0]}`, `#${marks[1]}`])
    for (const name of VERBS)
      expect(await safeErrorOf(verb(name, 1)), name).toMatchObject({
        message: expect.stringMatching(/mark of another/),
      })
    await admin(['ACL', 'SETUSER', users[0], `!${marks[1]}`, `#${marks[0]}`, `#${FRESH_MARK}`])
    for (const name of VERBS)
      expect(await safeErrorOf(verb(name, 1)), name).toMatchObject({
        message: expect.stringMatching(/more than one/),
      })
  })
})

describe('somebody else changes a user', () => {
  const theirs = () => Secret.of(`planted-${'y'.repeat(22)}`)
  const theirPassword = () => `>${theirs().reveal()}`

  test('one that was only kept for a generation: the login of somebody else is left alone, and its sessions', async () => {
    const { installed, admin, users, tried, session, shaped } = given
    await installed(1)
    const value = await made(2)
    await admin(['ACL', 'SETUSER', users[1], 'on', theirPassword()])
    const login = shaped?.(theirs(), 2) as Secret
    const working = await session(login)
    expect((await safeErrorOf(install(2, value))).code).toBe('foreign_writer')
    await verb('suspend', 2)
    // As a rollback does it.
    await verb('revoke', 2)
    expect(await verb('sessions', 2)).toBe(0)
    await verb('endSessions', 2)
    expect(await tried(login)).toBe('accepted')
    await working.leave()
    expect((await safeErrorOf(install(2, value))).code).toBe('not_allowed_now')
    const third = await made(3)
    expect((await safeErrorOf(install(3, third))).code).toBe('foreign_writer')
  })

  test('a password beside the one of a generation is said, and ends with it', async () => {
    const { installed, admin, users, tried, session, shaped } = given
    const one = await installed(1)
    await admin(['ACL', 'SETUSER', users[0], theirPassword()])
    const login = shaped?.(theirs(), 1) as Secret
    const working = await session(login)
    expect((await safeErrorOf(install(1, one))).code).toBe('foreign_writer')
    // Whose it is does not show: it is waited for.
    expect(await verb('sessions', 1)).toBe(1)
    await verb('suspend', 1)
    expect((await safeErrorOf(verb('reinstate', 1))).code).toBe('foreign_writer')
    expect(await tried(login)).toBe('refused')
    await verb('revoke', 1)
    await expect(working.leave()).rejects.toThrow()
    expect(await given.shown(users[0])).toBe('off, 0')
  })

  test('switched on while it is suspended: it is switched off again', async () => {
    const { installed, admin, users, tried } = given
    const one = await installed(1)
    await verb('suspend', 1)
    await admin(['ACL', 'SETUSER', users[0], 'on'])
    expect(await tried(one)).toBe('accepted')
    await verb('suspend', 1)
    expect(await tried(one)).toBe('refused')
  })

  test('switched off by hand: it is not switched on without being asked', async () => {
    const { installed, admin, users, tried } = given
    const one = await installed(1)
    await admin(['ACL', 'SETUSER', users[0], 'off'])
    expect((await safeErrorOf(install(1, one))).code).toBe('foreign_writer')
    expect((await safeErrorOf(verb('reinstate', 1))).code).toBe('foreign_writer')
    expect(await tried(one)).toBe('refused')
  })

  test('given to somebody after its generation was ended: their sessions are neither counted as its own, nor cut', async () => {
    const { installed, admin, users, session, shaped } = given
    await installed(1)
    await verb('revoke', 1)
    await admin(['ACL', 'SETUSER', users[0], 'on', theirPassword()])
    await verb('revoke', 1)
    const working = await session(shaped?.(theirs(), 1) as Secret)
    for (const name of ['revoke', 'sessions', 'endSessions'] as const)
      expect(await safeErrorOf(verb(name, 1)), name).toMatchObject({
        code: 'foreign_writer',
        message: expect.stringMatching(/CLIENT KILL USER/),
      })
    await working.leave()
  })
})

/** Digests of a user's passwords; or its marks. */
async function digestsOf(user: string, marks = false): Promise<string[]> {
  const [reply] = await given.admin(['ACL', 'GETUSER', user])
  const all = Array.isArray(reply) ? (reply[reply.indexOf('passwords') + 1] as string[]) : []
  return all.filter((one) => one.startsWith(FRESH_MARK.slice(0, 12)) === marks)
}

test('a login is tried for what it is, whatever the marks say', async () => {
  const { installed, another, admin, users } = given
  const one = await installed(1)
  const probe = async () => (await another.probe(one, call('probe'))).map(({ verdict }) => verdict)
  await admin(['ACL', 'SETUSER', users[0], `!${(await digestsOf(users[0], true))[0]}`])
  expect(await probe()).toEqual(['accepted'])
  await admin(['ACL', 'DELUSER', users[0]])
  expect(await probe()).toEqual(['refused'])
  expect(strongLoginOf(one).username).toBe(users[0])
})
