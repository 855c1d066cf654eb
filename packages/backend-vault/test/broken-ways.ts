import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type AuthorityFaults,
  proxyFaults,
  type StackAddresses,
  startFaultProxy,
  startTcpFaultProxy,
} from '@rekey/testing'
import pg from 'pg'
import { connectVault, type VaultClient } from '../src/index.ts'

/** FATAL 53300, as the server says it of one client too many. */
const FULL = fatal('53300')

function fatal(code: string): Buffer {
  const fields = { S: 'FATAL', V: 'FATAL', C: code, M: 'sorry' }
  const text = `${Object.entries(fields)
    .map(([key, word]) => `${key}${word}\0`)
    .join('')}\0`
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeInt32BE(text.length + 4, 1)
  return Buffer.concat([head, Buffer.from(text)])
}

export type Body = { lease_id?: string; data?: Record<string, unknown>; errors?: string[] }

/** The rotator's ways to the real Vault and the real PostgreSQL, one of each that can be broken, and those of administrators. */
export type BrokenWays = {
  /** The rotator, over the way that is broken, and over one that is not. */
  broken: VaultClient
  rotator: VaultClient
  /** A DSN by way of the proxy. */
  through(dsn: string): string
  faults: AuthorityFaults
  root(method: string, path: string, body?: unknown): Promise<{ status: number; body: Body }>
  admin(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

export async function brokenWays({
  vaultAddr,
  vaultRootToken,
  postgresUrl,
  identitiesDir,
}: StackAddresses): Promise<BrokenWays> {
  const server = new URL(postgresUrl)
  const way = await startFaultProxy(vaultAddr)
  const database = await startTcpFaultProxy({ host: server.hostname, port: Number(server.port) })
  const asRotator = (addr: string) =>
    connectVault({
      addr,
      roleId: readFileSync(join(identitiesDir, 'rotator', 'vault-role-id'), 'utf8').trim(),
      secretIdFile: join(identitiesDir, 'rotator', 'vault-secret-id'),
      timeoutMs: 5_000,
    })
  const broken = asRotator(way.url)
  const rotator = asRotator(vaultAddr)
  await broken.lookupSelf()
  const http = proxyFaults(way, {
    status: 429,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ errors: ['request path "database/x": rate limit quota exceeded'] }),
  })
  return {
    broken,
    rotator,
    through(dsn) {
      const url = new URL(dsn)
      url.port = String(database.port)
      return url.href
    },
    faults: {
      loseReply: http.loseReply,
      loseRequest: http.loseRequest,
      meanwhile: http.meanwhile,
      requests: http.requests,
      hang() {
        http.hang()
        database.arm('every', { kind: 'hang' })
      },
      throttle() {
        http.throttle()
        database.arm('every', { kind: 'answer', bytes: FULL })
      },
      down() {
        http.down()
        database.arm('every', { kind: 'lose-request' })
      },
      heal() {
        http.heal()
        database.heal()
      },
    },
    async root(method, path, body) {
      const reply = await fetch(`${vaultAddr}/v1/${path}`, {
        method,
        headers: { 'X-Vault-Token': vaultRootToken },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status: reply.status, body: (await reply.json().catch(() => ({}))) as Body }
    },
    async admin(sql, values = []) {
      const client = new pg.Client({ connectionString: postgresUrl })
      await client.connect()
      try {
        return (await client.query(sql, values)).rows
      } finally {
        await client.end()
      }
    },
    async close() {
      broken.close()
      rotator.close()
      await way.close()
      await database.close()
    },
  }
}
