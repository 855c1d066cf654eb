import { randomBytes } from 'node:crypto'
import { Secret } from '@rekey/contracts'
import { type AuthorityUnderTest, call, startTcpFaultProxy } from '@rekey/testing'
import { withRedis } from '../src/connection.ts'
import { type RedisAclPairAuthority, redisAclPairAuthority } from '../src/index.ts'
import { loginOf, placeOf, secretOf, strongLoginOf } from '../src/login.ts'
import { FRESH_MARK } from '../src/mark.ts'
import type { Reply } from '../src/resp.ts'
import { tryLogin } from '../src/try-login.ts'

const FULL = Buffer.from('-ERR max number of clients reached\r\n')

export type RedisPairUnderTest = AuthorityUnderTest & {
  authority: RedisAclPairAuthority
  another: RedisAclPairAuthority
  users: [string, string]
  /** As the default user, who may everything. */
  admin(...commands: string[][]): Promise<Reply[]>
  /** All that was sent to the server on the way that can be broken. */
  sent(): string
  /** A new generation, made and installed. */
  installed(generation: number): Promise<Secret>
  /** What a login with it shows now. */
  tried(value: Secret): Promise<string>
  /** A client with a value, as an application has it, until `leave`, which rejects where it was ended before. */
  session(value: Secret): Promise<{ leave(): Promise<void> }>
  /** What the server shows of a user: `on` or `off`, and how many passwords beside the mark. */
  shown(user: string): Promise<string>
  /** The same users and the same manager, with endpoints that lead to another server. */
  leadingTo(url: string): RedisAclPairAuthority
  /** Takes the users away. */
  close(): Promise<void>
}

/** What the guide gives to whoever manages a pair: nothing else, and no key. */
const RIGHTS = ['+acl|setuser', '+acl|getuser', '+acl|save', '+client|list', '+client|kill']

/** A fresh pair of users on the real server, and somebody who manages it and may nothing else. */
export async function givenRedisAclPair(
  url: string,
  { aclFile = true, manager: alreadyMay = RIGHTS }: { aclFile?: boolean; manager?: string[] } = {},
): Promise<RedisPairUnderTest> {
  const place = placeOf(url)
  const admin = (...commands: string[][]) =>
    withRedis(place, undefined, AbortSignal.timeout(5_000), (ask) => ask(...commands))
  const pair = `kit_${randomBytes(5).toString('hex')}`
  const users: [string, string] = [`${pair}_a`, `${pair}_b`]
  const [manager, password] = [`${pair}_manager`, randomBytes(18).toString('hex')]
  await admin(
    ...users.map((user) => ['ACL', 'SETUSER', user, 'off', `#${FRESH_MARK}`, `~${pair}:*`, '+@read']),
    ['ACL', 'SETUSER', manager, 'on', `>${password}`, 'resetkeys', 'resetchannels', '-@all', ...alreadyMay],
  )
  const sent: Buffer[] = []
  const proxy = await startTcpFaultProxy(place, (bytes) => sent.push(bytes))
  const at = (port: number, endpoint = `redis://${place.host}:${port}`) =>
    redisAclPairAuthority(
      {
        pair,
        connection: 'kit',
        endpoints: [{ name: 'primary', url: endpoint }],
        aclFile,
      },
      { connection: () => secretOf({ username: manager, password, ...place, port }) },
    )
  const shaped = (planted: Secret, generation: number) =>
    secretOf({ username: users[(generation + 1) % 2] ?? '', password: planted.reveal(), ...place })
  const another = at(place.port)
  return {
    authority: at(proxy.port),
    another,
    users,
    admin,
    sent: () => Buffer.concat(sent).toString(),
    shaped,
    unsuitable: shaped(Secret.of('planted-too-short'), 1),
    async foreignInstall({ value }) {
      const login = loginOf(value)
      await admin(['ACL', 'SETUSER', login?.username ?? '', 'on', `>${login?.password}`])
    },
    leadingTo: (endpoint) => at(place.port, endpoint),
    async installed(generation) {
      const value = await another.make(generation, call('make'))
      await another.install({ generation, keyId: `key-${generation}`, value }, call('install'))
      return value
    },
    async tried(value) {
      return (await tryLogin(strongLoginOf(value), place, AbortSignal.timeout(5_000))).verdict
    },
    async session(value) {
      const { username, password: theirs } = strongLoginOf(value)
      const leaving = Promise.withResolvers<void>()
      const there = Promise.withResolvers<void>()
      const as = { username, password: theirs, name: 'shop' }
      const over = withRedis(place, as, AbortSignal.timeout(20_000), async (ask) => {
        there.resolve()
        await leaving.promise
        await ask(['GET', `${pair}:x`])
      })
      over.catch(there.reject)
      await there.promise
      return {
        async leave() {
          leaving.resolve()
          await over
        },
      }
    },
    async shown(user) {
      const [reply] = await admin(['ACL', 'GETUSER', user])
      if (!Array.isArray(reply)) return 'none'
      const [flags, passwords] = ['flags', 'passwords'].map(
        (field) => reply[reply.indexOf(field) + 1] as string[],
      )
      return `${flags?.includes('on') ? 'on' : 'off'}, ${(passwords?.length ?? 0) - 1}`
    },
    faults: {
      requests: () => proxy.count,
      loseReply: (nth) => proxy.arm(nth, { kind: 'lose-reply' }),
      loseRequest: (nth) => proxy.arm(nth, { kind: 'lose-request' }),
      meanwhile: (nth, act) => proxy.arm(nth, { kind: 'meanwhile', act }),
      hang: () => proxy.arm('every', { kind: 'hang' }),
      throttle: () => proxy.arm('every', { kind: 'answer', bytes: FULL }),
      down: () => proxy.arm('every', { kind: 'lose-request' }),
      heal: () => proxy.heal(),
    },
    async close() {
      await proxy.close()
      await admin(['ACL', 'DELUSER', ...users, manager])
    },
  }
}
