import { z } from 'zod'
import { AwsRegion, millis, Name } from '../fields.ts'
import { ROTATOR_AWS } from './aws-iam-access-key.ts'
import { defineAuthority } from './definition.ts'
import { PostgresUrl } from './postgres-role-pair.ts'

const schema = z.strictObject({
  kind: z.literal('aws-managed-rotation'),
  /** How the function works. With one user the old value ends before anybody has the new one: nothing can overlap. */
  strategy: z
    .enum(['alternating-users', 'single-user'])
    .refine(
      (strategy) => strategy === 'alternating-users',
      'single-user is not possible: the function ends the old password before any node has the new one. Use a function for alternating users',
    ),
  /** Of the secret that has the rotation function. */
  region: AwsRegion,
  /** The name or ARN of that secret. The stores of the credential are others. */
  secretId: z
    .string()
    .regex(
      /^(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:)?[\w/+=.@-]{1,512}$/,
      'a name or an ARN',
    ),
  /** A file of this name in REKEY_CONNECTIONS_DIR at the rotator: the access key to work with. */
  connection: Name.default(ROTATOR_AWS),
  /** Another file there: the DSN, or a login, that sees the sessions of both users. */
  watcher: Name,
  /** Where clients log in, and where values are tried. */
  endpoints: z.array(z.strictObject({ name: Name, url: PostgresUrl })).min(1),
  /** For how long the function may leave the secret unfinished before it is run again; after twice as long it counts as failed. */
  functionMs: millis.default(300_000),
  /** The longest that a reader of the secret itself keeps a value: AWS's own caches keep it for an hour. */
  readersMs: millis.default(3_600_000),
  /** How often AWS may start the function by itself: never sooner than after so many days. */
  scheduleDaysMin: z.number().int().min(1).max(1_000).default(365),
  /** How long an ended password may still be accepted: standbys replay it later. */
  refusalLagMs: millis.default(1_000),
})
export type AwsManagedRotationSpec = z.infer<typeof schema>

/** AWS ends the ARN of a secret in six characters of its own, and takes it without them, too. */
function namesIn(secretId: string): string[] {
  const inArn = /^arn:.*:secret:(.+)$/.exec(secretId)?.[1]
  return inArn === undefined ? [secretId] : [inArn, inArn.replace(/-[A-Za-z0-9]{6}$/, '')]
}

/** A secret of AWS Secrets Manager that has a rotation function of its own, over two users of PostgreSQL. */
export const awsManagedRotation = defineAuthority({
  kind: 'aws-managed-rotation',
  direction: 'outbound',
  schema,
  identity: ['strategy', 'region', 'secretId'],
  abilities: ({ refusalLagMs, readersMs }) => ({
    slots: 2,
    soakMs: null,
    refusalLagMs,
    evidence: 'observed',
    quietMsMin: readersMs,
    minted: true,
  }),
  insteadOfAdoption:
    'the function makes a login of its own beside the one that there is. Leave firstValue out: the old login stays valid until the rotation after that',
  through: ({ connection, watcher }) => [connection, watcher],
  refusesStore: ({ region, secretId }, store) =>
    store.kind === 'aws-secrets-manager' &&
    store.region === region &&
    namesIn(secretId).some((name) => name === store.secretId)
      ? `must be another secret than ${secretId}: that one is the function's own`
      : undefined,
  reaches: ({ endpoints }) => endpoints,
  about: {
    purpose: 'a database login that a rotation function of AWS Secrets Manager makes',
    pages: [
      '[backend-aws](../../packages/backend-aws/README.md#rotation-functions)',
      '[guide](../guides/managed-rotation.md)',
    ],
    example: {
      kind: 'aws-managed-rotation',
      strategy: 'alternating-users',
      region: 'eu-central-1',
      secretId: 'prod/app/db',
      watcher: 'db-watcher',
      endpoints: [{ name: 'primary', url: 'postgres://db/app' }],
    },
  },
})
