import { randomBytes } from 'node:crypto'
import { type PostgresRolePairSpec, Secret, type StoredValue } from '@rekey/contracts'
import { makeRolePair, type RolePair } from '@rekey/local'
import type { AuthorityUnderTest } from '@rekey/testing'
import { startTcpFaultProxy } from '@rekey/testing'
import pg from 'pg'
import { type Login, loginOf, type RolePairAuthority, rolePairAuthority, secretOf } from '../src/index.ts'

/** FATAL 53300, as the server says it of one client too many. */
const FULL = errorMessage({ S: 'FATAL', V: 'FATAL', C: '53300', M: 'sorry, too many clients already' })

function errorMessage(fields: Record<string, string>): Buffer {
  const body = Buffer.concat([
    ...Object.entries(fields).map(([key, text]) => Buffer.from(`${key}${text}\0`)),
    Buffer.from('\0'),
  ])
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

export type PairUnderTest = AuthorityUnderTest & {
  authority: RolePairAuthority
  another: RolePairAuthority
  pair: RolePair
  /** All that was sent to the server on the way that can be broken. */
  sent(): string
  /** As a superuser. */
  admin<T extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<T[]>
  /** A value of a generation, on the role that comes next where they take turns. */
  value(generation: number, password?: string): StoredValue
  spec: Omit<PostgresRolePairSpec, 'kind' | 'soakMs'>
  close(): Promise<void>
}

/** A fresh pair of roles on the real server. */
export async function givenPair(url: string): Promise<PairUnderTest> {
  const pair = await makeRolePair(url, `kit_${randomBytes(5).toString('hex')}`)
  const server = new URL(url)
  const sent: Buffer[] = []
  const proxy = await startTcpFaultProxy({ host: server.hostname, port: Number(server.port) }, (bytes) =>
    sent.push(bytes),
  )
  const through = (text: string) => {
    const way = new URL(text)
    way.port = String(proxy.port)
    return way.href
  }
  const spec = (endpoint: string) => ({
    pair: pair.pair,
    owner: pair.owner,
    connection: 'kit',
    endpoints: [{ name: 'primary', url: endpoint }],
  })
  const login = (username: string, password: string): Login => ({
    username,
    password,
    host: server.hostname,
    port: Number(server.port),
    dbname: server.pathname.slice(1),
    sslmode: 'disable',
  })
  const roleOf = (generation: number) => `${pair.pair}_${generation % 2 === 1 ? 'a' : 'b'}`
  const shaped = (planted: Secret, generation: number) =>
    secretOf(login(roleOf(generation), planted.reveal()))

  const admin = async <T extends pg.QueryResultRow>(sql: string, values: unknown[] = []) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      return (await client.query<T>(sql, values)).rows
    } finally {
      await client.end()
    }
  }

  return {
    pair,
    spec: spec(pair.endpoint),
    admin,
    shaped,
    authority: rolePairAuthority(spec(through(pair.endpoint)), {
      connection: () => Secret.of(through(pair.connection)),
    }),
    another: rolePairAuthority(spec(pair.endpoint), { connection: () => Secret.of(pair.connection) }),
    unsuitable: shaped(Secret.of('planted-too-short'), 1),
    value(generation, password = `planted-${randomBytes(18).toString('hex')}`) {
      return { generation, keyId: `key-${generation}`, value: shaped(Secret.of(password), generation) }
    },
    async foreignInstall({ value }) {
      const { username = '', password = '' } = loginOf(value) ?? {}
      await admin(`alter role ${username} login password '${password}'`)
    },
    faults: {
      loseReply: (nth) => proxy.arm(nth, { kind: 'lose-reply' }),
      loseRequest: (nth) => proxy.arm(nth, { kind: 'lose-request' }),
      meanwhile: (nth, act) => proxy.arm(nth, { kind: 'meanwhile', act }),
      hang: () => proxy.arm('every', { kind: 'hang' }),
      throttle: () => proxy.arm('every', { kind: 'answer', bytes: FULL }),
      down: () => proxy.arm('every', { kind: 'lose-request' }),
      heal: () => proxy.heal(),
      requests: () => proxy.count,
    },
    sent: () => Buffer.concat(sent).toString('latin1'),
    async close() {
      await proxy.close()
      await pair.drop()
    },
  }
}
