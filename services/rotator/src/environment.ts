import { z } from 'zod'

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
