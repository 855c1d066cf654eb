import { z } from 'zod'

export const Config = z.object({
  DATABASE_URL: z.string().min(1),
  KAFKA_BROKERS: z
    .string()
    .transform((text) => text.split(',').flatMap((broker) => broker.trim() || []))
    .refine((brokers) => brokers.length > 0, 'name at least one broker, as host:port'),
  /** One partition: the records are a chain, and only one partition keeps their order. */
  AUDIT_TOPIC: z.string().min(1).default('rekey.audit.v1'),
  /** Silence for longer than this is a fault or an attack. */
  HEARTBEAT_MS: z.coerce.number().int().min(100).default(60_000),
  HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).default(0),
})
