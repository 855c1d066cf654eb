import { z } from 'zod'
import { AwsRegion, millis, Name } from '../fields.ts'
import { defineAuthority } from './definition.ts'

/** The AWS identity that the rotator was started with. */
export const ROTATOR_AWS = 'rotator-aws'

const schema = z.strictObject({
  kind: z.literal('aws-iam-access-key'),
  user: z.string().regex(/^[A-Za-z0-9_+=,.@-]{1,64}$/, 'the name of an IAM user'),
  /** Where keys are tried; IAM itself is global. */
  region: AwsRegion.default('us-east-1'),
  /** A file of this name in REKEY_CONNECTIONS_DIR at the rotator: the access key to work with. */
  connection: Name.default(ROTATOR_AWS),
  /** How long the old key is inactive, and could still be taken back, before it is deleted. */
  soakMs: millis.default(600_000),
  /** How late AWS says that a key was used: a routine rotation waits at least for so long. */
  usedLagMs: millis.default(14_400_000),
  /** How long an ended key may still be accepted somewhere: IAM is eventually consistent. */
  refusalLagMs: millis.default(30_000),
})
export type AwsIamAccessKeySpec = z.infer<typeof schema>

/** Access keys of one IAM user. */
export const awsIamAccessKey = defineAuthority({
  kind: 'aws-iam-access-key',
  direction: 'outbound',
  schema,
  identity: ['user'],
  abilities: ({ soakMs, refusalLagMs, usedLagMs }) => ({
    slots: 2,
    soakMs,
    refusalLagMs,
    evidence: 'observed',
    quietMsMin: usedLagMs,
    minted: true,
  }),
  insteadOfAdoption:
    'Rekey makes a key of its own beside the one that there is. Leave firstValue out, and delete the old key when nobody uses it',
  through: ({ connection }) => connection,
  // What a cloud key opens is in the provider's own policies, which Rekey does not read.
  reaches: () => [],
  about: {
    purpose: 'the access key of an IAM user',
    pages: [
      '[backend-aws](../../packages/backend-aws/README.md#access-keys)',
      '[guide](../guides/access-key.md)',
    ],
    example: { kind: 'aws-iam-access-key', user: 'app' },
  },
})
