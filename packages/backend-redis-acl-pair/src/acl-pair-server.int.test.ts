import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '@rekey/contracts'
import { freePort, prepareRedis, type Stack, startStack } from '@rekey/local'
import { call, safeErrorOf } from '@rekey/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { givenRedisAclPair, type RedisPairUnderTest } from '../test/given-redis-acl-pair.ts'

/** Servers that are full, that cannot save, and managers that may not. The server is each test's own. */
let own: Stack
let given: RedisPairUnderTest
beforeEach(async () => {
  own = await startStack({ only: ['redis'], own: true })
  given = await givenRedisAclPair(own.redis.url)
})
afterEach(async () => {
  await given.close()
  await own.stop()
})

const at = (...names: string[]) => join(own.dir, 'data', 'redis', ...names)

/** A file that cannot be written, also by root: there is a folder in its place, with something in it. */
async function blocked(name: string): Promise<void> {
  await rename(at(name), at(`${name}.kept`)).catch(() => {})
  await mkdir(at(name))
  await writeFile(at(name, 'something'), '')
}

const made = async (generation: number): Promise<Secret> => given.another.make(generation, call('make'))

/** All that a rotation asks of it, and an emergency. */
async function wholeTurn(): Promise<void> {
  const { another, installed, tried, session } = given
  const one = await installed(1)
  const working = await session(one)
  const two = await installed(2)
  expect(await another.sessions(1, call('s'))).toBe(1)
  await another.suspend(1, call('s'))
  await another.reinstate(1, call('s'))
  await another.revoke(1, call('r'))
  await another.endSessions(1, call('e'))
  await expect(working.leave()).rejects.toThrow()
  expect([await tried(one), await tried(two)]).toEqual(['refused', 'accepted'])
}

describe('no write is taken', () => {
  test('out of memory, and nothing is evicted: every verb works', async () => {
    await given.admin(['CONFIG', 'SET', 'maxmemory', '1'])
    await expect(given.admin(['SET', 'x', '1'])).rejects.toThrow('OOM')
    await wholeTurn()
  })

  test('data cannot be saved, and writes are stopped for it: every verb works', async () => {
    await blocked('dump.rdb')
    await given.admin(['CONFIG', 'SET', 'save', '3600 1'], ['BGSAVE'])
    await expect
      .poll(() => given.admin(['SET', 'x', '1']).catch((error: Error) => error.message), { timeout: 10_000 })
      .toBe('MISCONF')
    await wholeTurn()
  })
})

describe('users cannot be saved', () => {
  test('nothing new begins, and what is asked to end is ended before it is said', async () => {
    const { another, installed, tried, session } = given
    const one = await installed(1)
    const working = await session(one)
    await blocked('users.acl')
    const said = { code: 'backend_unavailable', message: expect.stringMatching(/cannot write its aclfile/) }
    expect(await safeErrorOf(made(2))).toMatchObject(said)
    expect(await safeErrorOf(another.revoke(1, call('r')))).toMatchObject(said)
    expect(await tried(one)).toBe('refused')
    await expect(working.leave()).rejects.toThrow()
    // Again, until it is saved.
    expect(await safeErrorOf(another.revoke(1, call('r')))).toMatchObject(said)
    await rm(at('users.acl'), { recursive: true })
    await another.revoke(1, call('r'))
    await own.servers.redis.kill()
    await own.servers.redis.start()
    expect(await tried(one)).toBe('refused')
  })
})

describe('another server, without an aclfile', () => {
  let stop: () => Promise<unknown>
  let other: string
  beforeEach(async () => {
    const port = await freePort()
    const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', own.dir, '--save', '']
    const child = spawn(await prepareRedis(() => {}), place, { stdio: ['ignore', 'pipe', 'ignore'] })
    const exited = once(child, 'exit')
    stop = () => {
      child.kill('SIGKILL')
      return exited
    }
    for await (const line of child.stdout.setEncoding('utf8'))
      if (String(line).includes('Ready to accept connections')) break
    other = `redis://127.0.0.1:${port}`
  })
  afterEach(() => stop())

  test('it is said that users would be lost, and with aclFile false they are not saved', async () => {
    const unsaved = await givenRedisAclPair(other)
    const make = async () => unsaved.another.make(1, call('m'))
    expect(await safeErrorOf(make())).toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringMatching(/no aclfile.*aclFile: false/),
    })
    await unsaved.close()
    const kept = await givenRedisAclPair(other, { aclFile: false })
    expect(await kept.tried(await kept.installed(1))).toBe('accepted')
    await kept.close()
  })

  test('an endpoint that leads there, and not to the server of the connection, is said to', async () => {
    const authority = given.leadingTo(other)
    const value = await made(1)
    const install = authority.install({ generation: 1, keyId: 'k', value }, call('i'))
    expect(await safeErrorOf(install, value)).toMatchObject({
      code: 'foreign_writer',
      message: expect.stringMatching(/another server than the one of the connection/),
    })
    // As a rollback does it.
    await authority.revoke(1, call('r'))
    expect(await given.tried(value)).toBe('refused')
  })
})

describe('a manager who may not', () => {
  const LACKS = ['acl|setuser', 'acl|getuser', 'acl|save', 'client|list', 'client|kill']
  test.each(LACKS)('%s: it is said which, and nobody is let in', async (lacking) => {
    const manager = LACKS.filter((right) => right !== lacking).map((right) => `+${right}`)
    const other = await givenRedisAclPair(own.redis.url, { manager })
    try {
      const run = async () => {
        const value: Secret = await other.another.make(1, call('m'))
        await other.another.install({ generation: 1, keyId: 'k', value }, call('i'))
        // Only here somebody is cut off.
        await other.session(value)
        await other.another.revoke(1, call('r'))
      }
      expect(await safeErrorOf(run())).toMatchObject({
        code: 'permission_denied',
        message: expect.stringContaining(`lacks +${lacking}`),
      })
      if (lacking !== 'client|kill') expect(await other.shown(other.users[0])).toBe('off, 0')
    } finally {
      await other.close()
    }
  })
})
