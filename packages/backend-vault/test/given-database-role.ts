import { randomBytes } from 'node:crypto'
import { loginOf, postgresLoginServer } from '@rekey/backend-postgres'
import { Secret, type StoredValue } from '@rekey/contracts'
import { type DatabaseRole, type DatabaseRoleSettings, makeDatabaseRole } from '@rekey/local'
import type { AuthorityUnderTest, StackAddresses } from '@rekey/testing'
import { databaseDynamic, type VaultClient } from '../src/index.ts'
import { type BrokenWays, brokenWays } from './broken-ways.ts'

export type DatabaseRoleUnderTest = AuthorityUnderTest &
  Pick<BrokenWays, 'root' | 'admin'> & {
    role: DatabaseRole
    credential: string
    keyIds: Record<number, string>
    /** The authority, as another identity of Vault's, or with other settings. */
    as(change: Change & { vault?: VaultClient }): AuthorityUnderTest['authority']
    /** A login of somebody else, as Vault Agent keeps it alive; returns its lease. */
    foreignMint(): Promise<string>
    close(): Promise<void>
  }
type Change = { role?: string; tokenRole?: string; leaseMax?: string }

/** A fresh role at the real Vault, over the real PostgreSQL, and two ways there that can be broken. */
export async function givenDatabaseRole(
  stack: StackAddresses,
  settings: DatabaseRoleSettings = {},
): Promise<DatabaseRoleUnderTest> {
  const { vaultAddr, vaultRootToken, postgresUrl } = stack
  const role = await makeDatabaseRole(
    { postgresUrl, vault: { addr: vaultAddr, token: vaultRootToken } },
    `kit_${randomBytes(5).toString('hex')}`,
    // Seconds rather than minutes, for what is lost is waited for.
    { default_ttl: '3s', max_ttl: '1h', ...settings },
  )
  const credential = `kit-${randomBytes(5).toString('hex')}`
  const { broken, rotator, through, faults, root, admin, close } = await brokenWays(stack)
  const keyIds: Record<number, string> = {}
  const of = (vault: VaultClient, at = (dsn: string) => dsn, change: Change = {}) => {
    const spec = {
      mount: role.mount,
      role: role.role,
      tokenRole: 'rekey-database',
      leaseMax: '1h',
      ...change,
    }
    const connection = () => Secret.of(at(role.sessions))
    const logins = postgresLoginServer(
      { endpoints: [{ name: 'primary', url: at(role.endpoint) }], watcher: 'kit' },
      { connection },
    )
    return databaseDynamic(vault, spec, { credential, keyIds, logins, keptWithinMs: 1_000 })
  }

  async function foreignMint(): Promise<string> {
    const { body } = await root('GET', `${role.mount}/creds/${role.role}`)
    await root('POST', 'sys/leases/renew', { lease_id: body.lease_id, increment: 600 })
    return String(body.lease_id).split('/').at(-1) ?? ''
  }

  return {
    authority: of(broken, through),
    another: of(rotator),
    role,
    credential,
    keyIds,
    as: ({ vault = rotator, ...change }) => of(vault, undefined, change),
    root,
    foreignMint,
    admin,
    // Vault ends a login before it answers, and PostgreSQL knows it no more.
    refusalLagMs: 0,
    faults,
    provider: {
      keep({ generation, keyId }: StoredValue) {
        keyIds[generation] = keyId
      },
      foreignMint,
      tellsForeign: true,
      secretOf: (value) => Secret.of(loginOf(value)?.password ?? ''),
    },
    async close() {
      await close()
      await role.drop()
    },
  }
}
