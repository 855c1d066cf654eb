import { randomBytes } from 'node:crypto'
import { loginOf, postgresLoginServer } from '@rekey/backend-postgres'
import { Secret, type StoredValue } from '@rekey/contracts'
import { makeStaticPair, type StaticPair, type StaticRoleSettings } from '@rekey/local'
import type { AuthorityUnderTest, StackAddresses } from '@rekey/testing'
import pg from 'pg'
import { databaseStatic, type VaultClient } from '../src/index.ts'
import { type BrokenWays, brokenWays } from './broken-ways.ts'

export type StaticPairUnderTest = AuthorityUnderTest &
  Pick<BrokenWays, 'root' | 'admin'> & {
    pair: StaticPair
    keyIds: Record<number, string>
    /** The authority, as another identity of Vault's, or with other settings. */
    as(change: Change & { vault?: VaultClient }): AuthorityUnderTest['authority']
    /** Somebody else changes the password of a role; returns its name. */
    rotateByHand(role: string): Promise<string>
    /** A client with a value, as an application has it; it is closed with everything else. */
    session(value: Secret): Promise<pg.Client & { over: Promise<void> }>
    close(): Promise<void>
  }
type Change = { roles?: [string, string]; tokenRole?: string; rotationPeriod?: string; fenceMs?: number }

/** Two fresh static roles at the real Vault, over the real PostgreSQL, and two ways there that can be broken. */
export async function givenStaticPair(
  stack: StackAddresses,
  settings?: StaticRoleSettings,
): Promise<StaticPairUnderTest> {
  const { vaultAddr, vaultRootToken, postgresUrl } = stack
  const pair = await makeStaticPair(
    { postgresUrl, vault: { addr: vaultAddr, token: vaultRootToken } },
    `kit_${randomBytes(5).toString('hex')}`,
    settings,
  )
  const { broken, rotator, through, faults, root, admin, close } = await brokenWays(stack)
  const keyIds: Record<number, string> = {}
  const foreign: string[] = []
  const used: string[] = []
  const clients: pg.Client[] = []
  const of = (
    vault: VaultClient,
    at = (dsn: string) => dsn,
    // Vault's shortest: each mint takes so long.
    { fenceMs = 1_000, ...change }: Change = {},
  ) => {
    const spec = {
      mount: pair.mount,
      roles: pair.roles,
      tokenRole: 'rekey-database-static',
      rotationPeriod: '90d',
      refusalLagMs: 0,
      ...change,
    }
    const server = (way: (dsn: string) => string) =>
      postgresLoginServer(
        { endpoints: [{ name: 'primary', url: way(pair.endpoint) }], watcher: 'kit' },
        { connection: () => Secret.of(way(pair.sessions)) },
      )
    // Values name the same place, whichever way a worker goes.
    const logins = { ...server(at), valueOf: server((dsn) => dsn).valueOf }
    return databaseStatic(vault, spec, { credential: 'kit', keyIds, logins, fenceMs })
  }

  async function rotateByHand(role: string): Promise<string> {
    await root('POST', `${pair.mount}/rotate-role/${role}`, {})
    const { body } = await root('GET', `${pair.mount}/static-roles/${role}`)
    return `${role}/${body.data?.last_vault_rotation}`
  }

  async function session(value: Secret) {
    const { username, password, host, port, dbname } = loginOf(value) ?? {}
    const client = new pg.Client({
      user: username,
      password,
      host,
      port,
      database: dbname,
    } as pg.ClientConfig)
    const over = new Promise<void>((resolve) => client.on('end', resolve))
    client.on('error', () => {})
    clients.push(client)
    await client.connect()
    return Object.assign(client, { over })
  }

  return {
    authority: of(broken, through),
    another: of(rotator),
    pair,
    keyIds,
    as: ({ vault = rotator, ...change }) => of(vault, undefined, change),
    root,
    admin,
    rotateByHand,
    session,
    refusalLagMs: 0,
    faults,
    provider: {
      keep({ generation, keyId }: StoredValue) {
        keyIds[generation] = keyId
      },
      // With both roles idle the first one is next: the other is somebody else's, while they do not log in.
      async foreignMint() {
        const name = await rotateByHand(pair.roles[1])
        foreign.push(name)
        return name
      },
      // Its password is what the next attempt takes for its own.
      tellsForeign: false,
      sameAgain: true,
      async use(value) {
        await session(value)
        used.push(pair.roles[pair.users.indexOf(loginOf(value)?.username ?? '')] ?? '')
      },
      isSpare: (name) =>
        ![...foreign, ...Object.values(keyIds)].includes(name) && !used.some((role) => name.startsWith(role)),
      secretOf: (value) => Secret.of(loginOf(value)?.password ?? ''),
    },
    async close() {
      for (const client of clients) await client.end()
      await close()
      await pair.drop()
    },
  }
}
