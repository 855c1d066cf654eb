import { z } from 'zod'

const millis = (fallback: number) => z.coerce.number().int().min(50).max(600_000).default(fallback)

export const Environment = z.object({
  DATABASE_URL: z.string().min(1, 'the ledger, such as postgres://rekey@127.0.0.1:5432/rekey'),
  REDIS_URL: z.string().min(1, 'the queues, such as redis://127.0.0.1:6379'),
  HEALTH_PORT: z.coerce.number().int().min(0).default(0),
  /** A wake-up that nobody followed is sent again after this time. */
  REKEY_RESEND_MS: millis(2_000),
  /** How long to sleep at the most, where nothing is announced. */
  REKEY_POLL_MS: millis(1_000),
  /** A folder with the secrets of notification targets, one file each; without it only those without one are told. */
  REKEY_NOTIFY_SECRETS_DIR: z.string().min(1).optional(),
  /** How often it looks which values are older than they may be. */
  REKEY_AGES_MS: millis(30_000),
  /** A node that was not heard of for this long is shown as lost. */
  REKEY_LOST_MS: millis(15_000),
})
