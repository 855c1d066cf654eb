import { z } from 'zod'
import { millis, Name } from '../fields.ts'
import { PostgresUrl } from './postgres-role-pair.ts'
import { ROTATOR_VAULT } from './vault-approle-secret-id.ts'

/** A name that is one part of a path. */
export const RoleName = (what: string) => z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/, what)

/** What a document says of Vault's database secrets engine, whichever of its logins it is about. */
export const vaultDatabaseFields = {
  /** The path of the database secrets engine. */
  mount: Name.default('database'),
  /** A folder of this name in REKEY_CONNECTIONS_DIR at the rotator, with `role-id` and `secret-id`: the AppRole to work as. */
  connection: Name.default(ROTATOR_VAULT),
  /** A file of this name in REKEY_CONNECTIONS_DIR at the rotator: a login to PostgreSQL that counts sessions and, of static roles, ends them. */
  sessions: Name,
  /** Where clients log in, and where the prober tries values. The first one is what the value names. */
  endpoints: z.array(z.strictObject({ name: Name, url: PostgresUrl })).min(1),
  /** How long what was ended may still be accepted by an endpoint that is a standby. */
  refusalLagMs: millis.default(1_000),
}
