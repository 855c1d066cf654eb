import { z } from 'zod'
import { Places } from './places.ts'

export const Environment = z.object({
  DATABASE_URL: z.string().min(1, 'the ledger, such as postgres://rekey@127.0.0.1:5432/rekey'),
  REDIS_URL: z.string().min(1, 'the queues, such as redis://127.0.0.1:6379'),
  VAULT_ADDR: z.url('where Vault or OpenBao listens'),
  /** The identity that writes the stores. */
  VAULT_ROLE_ID_FILE: z.string().min(1, 'a file with the AppRole role id'),
  VAULT_SECRET_ID_FILE: z.string().min(1, 'a file with the AppRole secret id'),
  /** The identity of the prober: it can read values and write nothing. */
  PROBER_VAULT_ROLE_ID_FILE: z.string().min(1, "a file with the prober's AppRole role id"),
  PROBER_VAULT_SECRET_ID_FILE: z.string().min(1, "a file with the prober's AppRole secret id"),
  /** A shared-credentials file; without it the AWS SDK's own chain is used. */
  AWS_CREDENTIALS_FILE: z.string().optional(),
  /** How many writes a second this process sends to Secrets Manager, for each account and region: AWS allows 50 to all together. */
  REKEY_AWS_WRITES_PER_S: z.coerce.number().min(1).max(1_000).default(46),
  /** A folder with a file, or for Vault a folder, for each connection that credentials name. Each is read again when it is used. */
  REKEY_CONNECTIONS_DIR: z.string().optional(),
  /** What `rekey inventory scan` looks at; without it every mount and region that a credential names. */
  REKEY_INVENTORY: Places.optional(),
  /** How often the stores of each credential are compared with what Rekey wrote; 0: only when somebody asks (`rekey drift look`). */
  REKEY_DRIFT_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(7 * 86_400_000)
    .default(900_000),
  HEALTH_PORT: z.coerce.number().int().min(0).default(0),
  /** A worker that holds an effect renews its lease about every third of this; a killed one's effect comes back after it. */
  REKEY_LEASE_MS: z.coerce.number().int().min(500).max(600_000).default(1_500),
  /** How long one attempt of an effect may act, however often its lease is renewed. */
  REKEY_ACT_MS: z.coerce.number().int().min(500).max(600_000).default(15_000),
  /** How many effects are worked on at once. */
  REKEY_CONCURRENCY: z.coerce.number().int().min(1).max(200).default(16),
  /** How many more of them if they are of emergencies: routine work never takes these. */
  REKEY_RESERVED: z.coerce.number().int().min(1).max(200).default(4),
})
