import { z } from 'zod'
import { millis, Name } from '../fields.ts'
import { defineAuthority } from './definition.ts'

/** The Vault identity that the rotator was started with. */
export const ROTATOR_VAULT = 'rotator-vault'

const schema = z.strictObject({
  kind: z.literal('vault-approle-secret-id'),
  /** The auth method's path, without `auth/`. */
  mount: Name.default('approle'),
  role: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/, 'the name of an AppRole'),
  /** A folder of this name in REKEY_CONNECTIONS_DIR at the rotator, with `role-id` and `secret-id`: the AppRole to work as. */
  connection: Name.default(ROTATOR_VAULT),
  /**
   * The longest that a client goes on with one token, without a login: the role's `token_max_ttl` must not be longer. A
   * routine rotation waits at least for so long.
   */
  tokenMaxMs: millis.default(3_600_000),
  /** An emergency ends the tokens, too, that were issued for the old secret id. Needs rights on all tokens. */
  endTokens: z.boolean().default(false),
  /** How long an ended secret id may still be accepted by a standby that answers reads. */
  refusalLagMs: millis.default(1_000),
})
export type VaultAppRoleSecretIdSpec = z.infer<typeof schema>

/** The secret ids of one AppRole, in the Vault that the rotator is connected to. */
export const vaultAppRoleSecretId = defineAuthority({
  kind: 'vault-approle-secret-id',
  direction: 'outbound',
  schema,
  identity: ['mount', 'role'],
  // Vault cannot suspend a secret id, and has no limit of them: two are what a rollover needs. A use shows at the next login.
  abilities: ({ refusalLagMs, tokenMaxMs }) => ({
    slots: 2,
    soakMs: null,
    refusalLagMs,
    evidence: 'observed',
    quietMsMin: tokenMaxMs,
    minted: true,
  }),
  insteadOfAdoption:
    'Rekey makes a secret id of its own beside those that there are. Leave firstValue out, and destroy the old one when nobody uses it',
  through: ({ connection }) => connection,
  // What a login opens is in Vault's own policies, which Rekey does not read.
  reaches: () => [],
  about: {
    purpose: 'the secret id with which a workload logs into Vault or OpenBao',
    pages: [
      '[backend-vault](../../packages/backend-vault/README.md#secret-ids-of-approles)',
      '[guide](../guides/approle-secret-id.md)',
    ],
    example: { kind: 'vault-approle-secret-id', role: 'app', endTokens: true },
  },
})
