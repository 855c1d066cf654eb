import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { z } from 'zod'
import { READING_MAX } from './pace.ts'
import { svidTemplate } from './svid-template.ts'

const port = z.coerce.number().int().min(0).max(65_535)
const instanceDefault = () => `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`

const Variables = z.object({
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
  /** The authorities (PEM) of a SPIFFE trust domain, and how its IDs name a node: with both, nodes may enrol with its SVIDs. */
  FLEET_SVID_BUNDLE_FILE: z.string().min(1).optional(),
  FLEET_SVID_ID: z
    .string()
    .transform((text, context) => {
      try {
        return svidTemplate(text)
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message })
        return z.NEVER
      }
    })
    .optional(),
  FLEET_HEALTH_PORT: port.optional(),
  /** So many nodes are told at once to read a value: what the store behind them answers in a fraction of a second. */
  FLEET_READING_MAX: z.coerce.number().int().min(1).max(100_000).default(READING_MAX),
  HEARTBEAT_MS: z.coerce.number().int().min(100).max(60_000).default(5_000),
})

export const Environment = Variables.refine(
  (env) => (env.FLEET_SVID_BUNDLE_FILE === undefined) === (env.FLEET_SVID_ID === undefined),
  { path: ['FLEET_SVID_ID'], error: 'set FLEET_SVID_BUNDLE_FILE and FLEET_SVID_ID, or neither' },
)
