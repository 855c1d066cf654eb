import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FRESH_MARK, redisAclPairAuthority, tryRedisLogin } from '@rekey/backend-redis-acl-pair'
import { type Call, Secret } from '@rekey/contracts'
import { type Stack, startStack } from '@rekey/local'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest'
import { startNodeAt } from './node-bench.ts'
import { startRedisClients } from './redis-clients.ts'
import { until } from './until.ts'

/**
 * The real agent with its `file` adapter, the real authority, and a Redis of this file's own. In order: each test goes on where
 * the one before it ended.
 */

const USERS = ['shop_a', 'shop_b']
const PASSWORD = 'manager-of-the-pair-of-users'

let own: Stack
let admin: Redis
let authority: ReturnType<typeof redisAclPairAuthority>
let dir: string
let node: Awaited<ReturnType<typeof startNodeAt>>
/** What the store holds. */
const values = new Map<number, Secret>()
const loginOf = (generation: number) => values.get(generation) ?? Secret.of('not made yet')
const endedLogs: string[] = []

const call = (key: string): Call => ({ key, signal: AbortSignal.timeout(10_000) })
const file = () => join(dir, 'login.json')

/** What the authority does before nodes move to a generation. */
async function install(generation: number): Promise<void> {
  const value = await authority.make(generation, call('make'))
  values.set(generation, value)
  await authority.install({ generation, keyId: `chat.g${generation}`, value }, call('install'))
}

const tried = (generation: number) => tryRedisLogin(loginOf(generation), AbortSignal.timeout(5_000))

/** Takes the node from one generation to the next one, as a rotation does; `meanwhile` comes when it has been told. */
async function change(to: number, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
  await install(to)
  const both = node.order([to - 1, to], { floor: to - 1 })
  await meanwhile()
  await node.acked(both)
  await until(
    'nobody works with the old login',
    async () => (await authority.sessions(to - 1, call('s'))) === 0,
  )
  await authority.suspend(to - 1, call('suspend'))
  await authority.revoke(to - 1, call('revoke'))
  const ack = await node.acked(node.order([to], { refuse: [to - 1], floor: to }))
  expect(ack.refusals).toEqual([{ generation: to - 1, tried: 'refused' }])
  expect([await tried(to - 1), await tried(to)]).toEqual(['refused', 'accepted'])
}

async function agentDies(): Promise<void> {
  await node.kill()
  endedLogs.push(...node.logs())
  node.fleet.drop()
  node.start()
}

function showLogsOnFailure(): void {
  onTestFailed(() => {
    process.stderr.write(`${node.logs().slice(-20).join('\n')}\n`)
  })
}

beforeAll(async () => {
  own = await startStack({ only: ['redis'], own: true })
  const { hostname: host, port } = new URL(own.redis.url)
  admin = new Redis(own.redis.url, { protocol: 2 })
  for (const user of USERS)
    await admin.call(
      'ACL',
      'SETUSER',
      user,
      'off',
      `#${FRESH_MARK}`,
      '~shop:*',
      '+@read',
      '+@write',
      '+@connection',
      '+info',
    )
  await admin.call(
    ...([
      'ACL',
      'SETUSER',
      'rekey_shop',
      'on',
      `>${PASSWORD}`,
      '-@all',
      '+acl|setuser',
      '+acl|getuser',
    ] as const),
    ...['+acl|save', '+client|list', '+client|kill'],
  )
  authority = redisAclPairAuthority(
    { pair: 'shop', connection: 'shop', endpoints: [{ name: 'primary', url: own.redis.url }], aclFile: true },
    {
      connection: () =>
        Secret.of(
          JSON.stringify({
            username: 'rekey_shop',
            password: PASSWORD,
            host,
            port: Number(port),
            tls: false,
          }),
        ),
    },
  )
  dir = await mkdtemp(join(tmpdir(), 'rekey-redis-login-'))
  const adapter = { kind: 'file', path: file(), format: 'value', probe: 'redis' }
  node = await startNodeAt(
    { adapter, stop: () => rm(dir, { recursive: true, force: true }) },
    adapter,
    loginOf,
  )
  node.start()
})

afterAll(async () => {
  await node?.stop()
  admin?.disconnect()
  await own?.stop()
})

test('ten changes under 16 clients fail no operation, the agent dying in the midst of three, and leave nothing behind', async () => {
  showLogsOnFailure()
  await install(1)
  await node.acked(node.order([1]))
  const clients = startRedisClients({ file: file(), key: 'shop:n', count: 16 })
  await until('all work', () => clients.as('shop_a') > 100)
  const started = performance.now()
  for (let generation = 2; generation <= 11; generation += 1) {
    await change(generation, [3, 6, 9].includes(generation) ? agentDies : undefined)
    const before = clients.operations()
    await until('work goes on', () => clients.operations() > before + 50)
  }
  const sessions = await authority.sessions(11, call('sessions'))
  const { operations, failures } = await clients.stop()
  const seconds = ((performance.now() - started) / 1_000).toFixed(1)
  process.stderr.write(
    `redis: 10 changes in ${seconds} s, ${operations} operations, ${failures.length} failed\n`,
  )
  expect(failures).toEqual([])
  expect(operations).toBeGreaterThan(500)
  expect(USERS.every((user) => clients.as(user) > 50)).toBe(true)
  expect(sessions).toBe(16)
  // One user is on, with one password; of the other nothing is left but its mark, and nobody is logged in as it.
  const lines = ((await admin.call('ACL', 'LIST')) as string[]).filter((line) =>
    line.startsWith('user shop_'),
  )
  expect(lines.map((line) => [line.includes(' on '), line.match(/#/g)?.length])).toEqual([
    [true, 2],
    [false, 1],
  ])
  expect(String(await admin.call('CLIENT', 'LIST'))).not.toContain('user=shop_b')
})

test('a login that the server refuses is said so by the node, and the one before it comes back', async () => {
  showLogsOnFailure()
  values.set(
    12,
    Secret.of(
      loginOf(11)
        .reveal()
        .replace(/rk_.{5}/, 'rk_wrong'),
    ),
  )
  const revision = node.order([11, 12], { floor: 11 })
  const nack = await until('the nack', () =>
    node.fleet.messages.find((message) => message.type === 'nack' && message.revision === revision),
  )
  expect(nack).toMatchObject({ generation: 12 })
  await node.acked(node.order([11], { floor: 11 }))
  expect((await readFile(file(), 'utf8')).trim()).toBe(loginOf(11).reveal())
})

test('no password is in a log, a journal or what the fleet was told', async () => {
  await node.kill('SIGTERM')
  const journal = await readFile(join(node.dir, 'state', 'journal-chat.json'), 'utf8')
  const told = [...endedLogs, ...node.logs(), journal, JSON.stringify(node.fleet.messages)].join('\n')
  expect(told).toContain('the desired state is reached')
  expect(told).not.toContain('rk_')
})
