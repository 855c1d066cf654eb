import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { z } from 'zod'
import { READING_MAX } from './pace.ts'

const port = z.coerce.number().int().min(0).max(65_535)
const instanceDefault = () => `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`

export const Environment = z.object({
  DATABASE_URL: z.string().min(1),
  REDIS_URL: z.string().min(1),
  VAULT_ADDR: z.url({ protocol: /^https?$/ }),
  VAULT_ROLE_ID_FILE: z.string().min(1),
  VAULT_SECRET_ID_FILE: z.string().min(1),
  FLEET_PORT: port,
  FLEET_ENROL_PORT: port,
  FLEET_HOST: z.string().min(1).default('127.0.0.1'),
  /** The names in the server certificate besides addresses: what agents have in their URLs. */
  FLEET_SERVER_NAMES: z
    .string()
    .default('localhost')
    .transform((names) => names.split(',').map((name) => name.trim())),
  /** Becomes part of a queue's name, in which BullMQ refuses ":". */
  FLEET_INSTANCE: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,120}$/, 'letters, digits, dots, dashes and underscores')
    .default(instanceDefault),
  /** Where the CA certificate is written for agents to trust. */
  FLEET_CA_FILE: z.string().min(1),
  FLEET_HEALTH_PORT: port.optional(),
  /** So many nodes are told at once to read a value: what the store behind them answers in a fraction of a second. */
  FLEET_READING_MAX: z.coerce.number().int().min(1).max(100_000).default(READING_MAX),
  HEARTBEAT_MS: z.coerce.number().int().min(100).max(60_000).default(5_000),
})
