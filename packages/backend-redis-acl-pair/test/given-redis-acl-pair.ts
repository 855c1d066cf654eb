import { randomBytes } from 'node:crypto'
import { Secret } from '@rekey/contracts'
import { type AuthorityUnderTest, startTcpFaultProxy } from '@rekey/testing'
import { withRedis } from '../src/connection.ts'
import { type RedisAclPairAuthority, redisAclPairAuthority } from '../src/index.ts'
import { loginOf, placeOf, secretOf } from '../src/login.ts'
import type { Reply } from '../src/resp.ts'

const FULL = Buffer.from('-ERR max number of clients reached\r\n')

export type RedisPairUnderTest = AuthorityUnderTest & {
  authority: RedisAclPairAuthority
  another: RedisAclPairAuthority
  users: string[]
  /** As the default user, who may everything. */
  admin(...commands: string[][]): Promise<Reply[]>
  /** All that was sent to the server on the way that can be broken. */
  sent(): string
  close(): Promise<void>
}

const RIGHTS = [
  '+acl|setuser',
  '+acl|getuser',
  '+acl|save',
  '+client|list',
  '+client|kill',
  ...['get', 'set', 'watch', 'multi', 'exec', 'hello'].map((command) => `+${command}`),
]

/** A fresh pair of users on the real server, and somebody who manages it and may nothing else. */
export async function givenRedisAclPair(url: string): Promise<RedisPairUnderTest> {
  const place = placeOf(url)
  const admin = (...commands: string[][]) =>
    withRedis(place, undefined, AbortSignal.timeout(5_000), (ask) => ask(...commands))
  const pair = `kit_${randomBytes(5).toString('hex')}`
  const users = [`${pair}_a`, `${pair}_b`]
  const [manager, password] = [`${pair}_manager`, randomBytes(18).toString('hex')]
  const key = `rekey:acl-pair:${pair}`
  await admin(...users.map((user) => ['ACL', 'SETUSER', user, 'off', `~${pair}:*`, '+@read']), [
    'ACL',
    'SETUSER',
    manager,
    'on',
    `>${password}`,
    `~${key}`,
    ...RIGHTS,
  ])
  const sent: Buffer[] = []
  const proxy = await startTcpFaultProxy(place, (bytes) => sent.push(bytes))
  const at = (port: number) =>
    redisAclPairAuthority(
      {
        pair,
        connection: 'kit',
        endpoints: [{ name: 'primary', url: `redis://${place.host}:${port}` }],
        aclFile: true,
      },
      { connection: () => Secret.of(`redis://${manager}:${password}@${place.host}:${port}`) },
    )
  const shaped = (planted: Secret, generation: number) =>
    secretOf({ username: users[(generation + 1) % 2] ?? '', password: planted.reveal(), ...place })
  return {
    authority: at(proxy.port),
    another: at(place.port),
    users,
    admin,
    sent: () => Buffer.concat(sent).toString(),
    shaped,
    unsuitable: shaped(Secret.of('planted-too-short'), 1),
    async foreignInstall({ value }) {
      const login = loginOf(value)
      await admin(['ACL', 'SETUSER', login?.username ?? '', 'on', `>${login?.password}`])
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
      await admin(['ACL', 'DELUSER', ...users, manager], ['DEL', key])
    },
  }
}
