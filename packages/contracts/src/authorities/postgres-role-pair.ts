import { z } from 'zod'
import { millis, Name } from '../fields.ts'
import { defineAuthority } from './definition.ts'

/** A role that needs no quotes; `max` leaves room for `_a` and `_b`. */
const RoleName = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[a-z_][a-z0-9_]*$/, 'a role name: lower-case letters, digits and _')

/**
 * A PostgreSQL server and database as clients reach it, without user and password. TLS with a checked certificate, but on
 * the same host and with `sslmode=disable`.
 */
export const PostgresUrl = z.url({ protocol: /^postgres(ql)?$/ }).refine((text) => {
  const url = URL.parse(text)
  const isPlain = url?.username === '' && url.password === '' && url.hash === ''
  const hasDatabase = /^\/[A-Za-z0-9_-]{1,63}$/.test(url?.pathname ?? '')
  return isPlain && hasDatabase && /^(\?sslmode=(disable|verify-full))?$/.test(url.search)
}, 'must be postgres://HOST:PORT/DATABASE, with nothing else but ?sslmode=disable or ?sslmode=verify-full')

const schema = z.strictObject({
  kind: z.literal('postgres-role-pair'),
  /** The login roles are `<pair>_a` and `<pair>_b`. */
  pair: RoleName(61),
  /** The role without login that both act as: it owns and may, they do not. */
  owner: RoleName(63),
  /** A file of this name in REKEY_CONNECTIONS_DIR at the rotator: the DSN, or a login, of the role that manages the pair. */
  connection: Name,
  /** Where clients log in, and where the prober tries values. The first one is what the value names. */
  endpoints: z.array(z.strictObject({ name: Name, url: PostgresUrl })).min(1),
  /** How long the old role is refused, and could still be taken back, before it is ended for good. */
  soakMs: millis.default(10_000),
})
export type PostgresRolePairSpec = z.infer<typeof schema>

/** Two login roles of PostgreSQL over one owner role. */
export const postgresRolePair = defineAuthority({
  kind: 'postgres-role-pair',
  direction: 'outbound',
  schema,
  identity: ['pair', 'owner'],
  // Refused from the transaction on; and the server knows its sessions, where applications have no counters.
  abilities: ({ soakMs }) => ({ slots: 2, soakMs, refusalLagMs: 0, evidence: 'observed' }),
  insteadOfAdoption:
    'Rekey makes a login of its own beside the one that there is. Leave firstValue out, and drop the old login when nobody uses it',
  through: ({ connection }) => connection,
  reaches: ({ endpoints }) => endpoints,
  about: {
    purpose: 'the login of an application to PostgreSQL',
    pages: [
      '[backend-postgres](../../packages/backend-postgres/README.md)',
      '[guide](../guides/database-login.md)',
    ],
    example: {
      kind: 'postgres-role-pair',
      pair: 'app',
      owner: 'owner',
      connection: 'db',
      endpoints: [{ name: 'primary', url: 'postgres://db/app' }],
    },
  },
})
