import { z } from 'zod'
import { Span, spanMs } from '../fields.ts'
import { defineAuthority } from './definition.ts'
import { RoleName, vaultDatabaseFields } from './vault-database.ts'

const StaticRole = RoleName('the name of a static role of the database secrets engine')

const schema = z.strictObject({
  kind: z.literal('vault-database-static'),
  ...vaultDatabaseFields,
  /** Two static roles, of two users of one database: they take turns. */
  roles: z.tuple([StaticRole, StaticRole]).refine(([one, other]) => one !== other, 'must be two roles'),
  /** The token role at `auth/token/roles`: a password is changed by a token that lives for seconds, so no call comes late. */
  tokenRole: RoleName('the name of a token role').default('rekey-database-static'),
  /** How long Vault leaves a password as it is: the `rotation_period` of both roles must not be shorter. */
  rotationPeriod: Span.default('90d'),
})
export type VaultDatabaseStaticSpec = z.infer<typeof schema>

/** Two static roles of Vault's database secrets engine: Vault changes the password of the one that is not in use. */
export const vaultDatabaseStatic = defineAuthority({
  kind: 'vault-database-static',
  direction: 'outbound',
  schema,
  // A live password ends by the period that it was made under: a later one would let `maxAge` come after its end.
  identity: ['mount', 'roles', 'rotationPeriod'],
  // Two users, and a changed password is refused at once; Vault cannot suspend one.
  abilities: ({ refusalLagMs }) => ({
    slots: 2,
    soakMs: null,
    refusalLagMs,
    evidence: 'observed',
    minted: true,
  }),
  insteadOfAdoption:
    'Rekey has Vault change the password of the role that is not in use. Leave firstValue out: with one role in use, make a second one, and name both',
  lifeMs: ({ rotationPeriod }) => spanMs(rotationPeriod),
  through: ({ connection, sessions }) => [connection, sessions],
  reaches: ({ endpoints }) => endpoints,
  about: {
    purpose: 'one of two users of PostgreSQL whose passwords Vault or OpenBao sets',
    pages: [
      '[backend-vault](../../packages/backend-vault/README.md#static-roles-that-take-turns)',
      '[guide](../guides/vault-static.md)',
    ],
    example: {
      kind: 'vault-database-static',
      roles: ['rekey-app-a', 'rekey-app-b'],
      sessions: 'db',
      endpoints: [{ name: 'primary', url: 'postgres://db/app' }],
    },
  },
})
