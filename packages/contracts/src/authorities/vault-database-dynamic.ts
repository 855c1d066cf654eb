import { z } from 'zod'
import { Span, spanMs } from '../fields.ts'
import { defineAuthority } from './definition.ts'
import { RoleName, vaultDatabaseFields } from './vault-database.ts'

const schema = z.strictObject({
  kind: z.literal('vault-database-dynamic'),
  ...vaultDatabaseFields,
  role: RoleName('the name of a role of the database secrets engine'),
  /** The token role at `auth/token/roles`: a login ends with the token that asked for it, so each has one of its own. */
  tokenRole: RoleName('the name of a token role').default('rekey-database'),
  /** The longest that Vault lets a login live, used or not: the role's `max_ttl` must not be shorter. */
  leaseMax: Span.default('30d'),
})
export type VaultDatabaseDynamicSpec = z.infer<typeof schema>

/** Logins to PostgreSQL that Vault makes, each with a lease. */
export const vaultDatabaseDynamic = defineAuthority({
  kind: 'vault-database-dynamic',
  direction: 'outbound',
  schema,
  // A live login ends by the leaseMax that it was made with: a later one would let `maxAge` come after its end.
  identity: ['mount', 'role', 'leaseMax'],
  // Vault has no limit of leases, and cannot suspend one: two logins are what a rollover needs.
  abilities: ({ refusalLagMs }) => ({
    slots: 2,
    soakMs: null,
    refusalLagMs,
    evidence: 'observed',
    minted: true,
  }),
  insteadOfAdoption:
    'Rekey asks Vault for a login of its own beside those that there are. Leave firstValue out, and revoke the old lease when nobody uses it',
  lifeMs: ({ leaseMax }) => spanMs(leaseMax),
  through: ({ connection, sessions }) => [connection, sessions],
  reaches: ({ endpoints }) => endpoints,
  about: {
    purpose: 'a login to PostgreSQL that Vault or OpenBao makes, with a lease',
    pages: [
      '[backend-vault](../../packages/backend-vault/README.md#logins-of-the-database-secrets-engine)',
      '[guide](../guides/vault-database.md)',
    ],
    example: {
      kind: 'vault-database-dynamic',
      role: 'app',
      sessions: 'db',
      endpoints: [{ name: 'primary', url: 'postgres://db/app' }],
    },
  },
})
