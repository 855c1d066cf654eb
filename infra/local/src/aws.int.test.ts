import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  GetAccessKeyLastUsedCommand,
  IAMClient,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam'
import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretVersionIdsCommand,
  PutSecretValueCommand,
  RotateSecretCommand,
  SecretsManagerClient,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateSecretCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager'
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AccessKey, parseCredentialsFile } from './aws.ts'
import { type Stack, startStack } from './stack.ts'

// What is tested here is the way without Docker.
process.env.REKEY_STACK_DOCKER = 'no'

// The rules are those of the API reference; the names in quotation marks are its words.

let stack: Stack
let admin: AccessKey
let secrets: SecretsManagerClient
let iam: IAMClient

const options = (key: AccessKey) => ({
  endpoint: stack.aws.endpoint,
  region: stack.aws.region,
  credentials: { accessKeyId: key.id, secretAccessKey: key.secret },
})

beforeAll(async () => {
  stack = await startStack({ only: ['aws'] })
  const key = parseCredentialsFile(await readFile(stack.aws.adminCredentialsFile, 'utf8'))
  if (!key) throw new Error('no administrator')
  admin = key
  secrets = new SecretsManagerClient(options(admin))
  iam = new IAMClient(options(admin))
}, 120_000)

afterAll(() => stack.stop())

const token = () => randomUUID()

async function secretWith(value: string, first = token()): Promise<{ SecretId: string; first: string }> {
  const SecretId = `test/${randomUUID()}`
  await secrets.send(
    new CreateSecretCommand({ Name: SecretId, SecretString: value, ClientRequestToken: first }),
  )
  return { SecretId, first }
}

async function pending(SecretId: string, value: string): Promise<string> {
  const id = token()
  await secrets.send(
    new PutSecretValueCommand({
      SecretId,
      SecretString: value,
      ClientRequestToken: id,
      VersionStages: ['AWSPENDING'],
    }),
  )
  return id
}

async function stages(SecretId: string): Promise<Record<string, string[]>> {
  return (await secrets.send(new DescribeSecretCommand({ SecretId }))).VersionIdsToStages ?? {}
}

const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (error: Error) => error.name,
  )

describe('CreateSecret', () => {
  test('makes the caller’s token the id of the first version', async () => {
    const { SecretId, first } = await secretWith('one')
    expect(await stages(SecretId)).toEqual({ [first]: ['AWSCURRENT'] })
  })

  test('is ignored when it is repeated, and refused with another value', async () => {
    const { SecretId, first } = await secretWith('one')
    const again = (SecretString: string) =>
      secrets.send(new CreateSecretCommand({ Name: SecretId, SecretString, ClientRequestToken: first }))
    expect((await again('one')).VersionId).toBe(first)
    expect(await refusal(again('two'))).toBe('ResourceExistsException')
  })

  test('makes no version when it is given no value', async () => {
    const SecretId = `test/${randomUUID()}`
    const made = await secrets.send(new CreateSecretCommand({ Name: SecretId }))
    expect(made.VersionId).toBeUndefined()
    expect(await stages(SecretId)).toEqual({})
    const first = await pending(SecretId, 'one')
    expect((await stages(SecretId))[first]?.toSorted()).toEqual(['AWSCURRENT', 'AWSPENDING'])
  })
})

describe('PutSecretValue', () => {
  test('does nothing when it is repeated with the same data', async () => {
    const { SecretId } = await secretWith('one')
    const id = await pending(SecretId, 'two')
    const put = { SecretId, SecretString: 'two', ClientRequestToken: id }
    const again = await secrets.send(new PutSecretValueCommand(put))
    expect(again).toMatchObject({ VersionId: id, VersionStages: ['AWSPENDING'] })
  })

  test('fails with other data under a token that is in use, and keeps what was there', async () => {
    const { SecretId } = await secretWith('one')
    const id = await pending(SecretId, 'two')
    const other = new PutSecretValueCommand({ SecretId, SecretString: 'three', ClientRequestToken: id })
    expect(await refusal(secrets.send(other))).toBe('ResourceExistsException')
    const kept = await secrets.send(new GetSecretValueCommand({ SecretId, VersionId: id }))
    expect(kept.SecretString).toBe('two')
  })

  test('lets one of sixteen racing values win a token', async () => {
    const { SecretId } = await secretWith('one')
    const ClientRequestToken = token()
    const puts = Array.from({ length: 16 }, (_, i) =>
      refusal(
        secrets.send(new PutSecretValueCommand({ SecretId, SecretString: `racer ${i}`, ClientRequestToken })),
      ),
    )
    const outcomes = await Promise.all(puts)
    expect(outcomes.filter((outcome) => outcome === 'accepted')).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome === 'ResourceExistsException')).toHaveLength(15)
  })

  test('takes a label from the version that had it, also under a race', async () => {
    const { SecretId, first } = await secretWith('one')
    await Promise.all(Array.from({ length: 16 }, (_, i) => pending(SecretId, `racer ${i}`)))
    const now = await stages(SecretId)
    expect(Object.values(now).filter((labels) => labels.includes('AWSPENDING'))).toHaveLength(1)
    expect(now[first]).toEqual(['AWSCURRENT'])
  })

  test('moves AWSCURRENT and AWSPREVIOUS together when no label is asked for', async () => {
    const { SecretId, first } = await secretWith('one')
    const second = token()
    await secrets.send(
      new PutSecretValueCommand({ SecretId, SecretString: 'two', ClientRequestToken: second }),
    )
    expect(await stages(SecretId)).toEqual({ [first]: ['AWSPREVIOUS'], [second]: ['AWSCURRENT'] })
  })

  test('refuses 64 KiB and one byte, a short token, and a version too many', async () => {
    const { SecretId } = await secretWith('one')
    const put = (SecretString: string, ClientRequestToken: string = token()) =>
      refusal(secrets.send(new PutSecretValueCommand({ SecretId, SecretString, ClientRequestToken })))
    expect(await put('x'.repeat(65_536))).toBe('accepted')
    expect(await put('x'.repeat(65_537))).toBe('InvalidParameterException')
    expect(await put('two', 'short')).toBe('InvalidParameterException')
    const outcomes: string[] = []
    for (let i = 0; i < 99; i++) outcomes.push(await put(`value ${i}`))
    expect(outcomes.filter((outcome) => outcome === 'accepted')).toHaveLength(98)
    expect(outcomes.at(-1)).toBe('LimitExceededException')
  })
})

test('UpdateSecret follows the same rule on tokens', async () => {
  const { SecretId } = await secretWith('one')
  const update = (SecretString: string, ClientRequestToken: string) =>
    secrets.send(new UpdateSecretCommand({ SecretId, SecretString, ClientRequestToken }))
  const second = token()
  expect((await update('two', second)).VersionId).toBe(second)
  expect((await update('two', second)).VersionId).toBe(second)
  expect(await refusal(update('three', second))).toBe('ResourceExistsException')
})

describe('UpdateSecretVersionStage', () => {
  const move = (SecretId: string, VersionStage: string, to?: string, from?: string) =>
    secrets.send(
      new UpdateSecretVersionStageCommand({
        SecretId,
        VersionStage,
        MoveToVersionId: to,
        RemoveFromVersionId: from,
      }),
    )

  test('fails when the label is attached and RemoveFromVersionId is absent or wrong', async () => {
    const { SecretId, first } = await secretWith('one')
    const second = await pending(SecretId, 'two')
    expect(await refusal(move(SecretId, 'AWSCURRENT', second))).toBe('InvalidParameterException')
    expect(await refusal(move(SecretId, 'AWSCURRENT', second, second))).toBe('InvalidParameterException')
    expect(await refusal(move(SecretId, 'AWSCURRENT', second, first))).toBe('accepted')
    expect(await stages(SecretId)).toEqual({
      [first]: ['AWSPREVIOUS'],
      [second]: ['AWSPENDING', 'AWSCURRENT'],
    })
  })

  test('does not take AWSCURRENT away altogether', async () => {
    const { SecretId, first } = await secretWith('one')
    expect(await refusal(move(SecretId, 'AWSCURRENT', undefined, first))).toBe('InvalidParameterException')
    expect(await stages(SecretId)).toEqual({ [first]: ['AWSCURRENT'] })
  })

  test('leaves the promoted version as what GetSecretValue gives', async () => {
    const { SecretId, first } = await secretWith('one')
    const second = await pending(SecretId, 'two')
    await move(SecretId, 'AWSCURRENT', second, first)
    expect(await secrets.send(new GetSecretValueCommand({ SecretId }))).toMatchObject({
      VersionId: second,
      SecretString: 'two',
    })
  })
})

test('GetSecretValue refuses an id and a stage that do not belong together', async () => {
  const { SecretId, first } = await secretWith('one')
  const get = (VersionStage: string) =>
    refusal(secrets.send(new GetSecretValueCommand({ SecretId, VersionId: first, VersionStage })))
  expect(await get('AWSPENDING')).toBe('InvalidRequestException')
  expect(await get('AWSCURRENT')).toBe('accepted')
})

test('ListSecretVersionIds hides versions without a label unless it is asked for deprecated ones', async () => {
  const { SecretId, first } = await secretWith('one')
  const second = await pending(SecretId, 'two')
  const third = await pending(SecretId, 'three')
  const list = async (IncludeDeprecated: boolean) =>
    (await secrets.send(new ListSecretVersionIdsCommand({ SecretId, IncludeDeprecated }))).Versions?.map(
      (version) => version.VersionId,
    ).toSorted()
  expect(await list(false)).toEqual([first, third].toSorted())
  expect(await list(true)).toEqual([first, second, third].toSorted())
})

test('RotateSecret fails while AWSPENDING is on another version than AWSCURRENT', async () => {
  const { SecretId } = await secretWith('one')
  await pending(SecretId, 'two')
  const before = await stages(SecretId)
  const rotate = new RotateSecretCommand({
    SecretId,
    RotationLambdaARN: `arn:aws:lambda:${stack.aws.region}:000000000000:function:rotate`,
  })
  expect(await refusal(secrets.send(rotate))).toBe('InvalidRequestException')
  expect(await stages(SecretId)).toEqual(before)
})

describe('a replica', () => {
  const abroad = () => new SecretsManagerClient({ ...options(admin), region: 'eu-west-1' })

  async function replicated(value: string) {
    const SecretId = `test/${randomUUID()}`
    const made = await secrets.send(
      new CreateSecretCommand({
        Name: SecretId,
        SecretString: value,
        AddReplicaRegions: [{ Region: 'eu-west-1' }],
      }),
    )
    return { SecretId, made }
  }

  test('is made with the secret, where CreateSecret names its region', async () => {
    const { SecretId, made } = await replicated('one')
    expect(made.ReplicationStatus).toMatchObject([{ Region: 'eu-west-1', Status: 'InSync' }])
    const there = await abroad().send(new GetSecretValueCommand({ SecretId }))
    expect(there).toMatchObject({ SecretString: 'one', VersionId: made.VersionId })
  })

  test('lags for as long as a test wants, and says so', async () => {
    const { SecretId } = await replicated('one')
    const Key = 'rekey-emulator:replicas'
    await secrets.send(new TagResourceCommand({ SecretId, Tags: [{ Key, Value: 'held' }] }))
    await secrets.send(new PutSecretValueCommand({ SecretId, SecretString: 'two' }))
    const seen = async () => (await abroad().send(new GetSecretValueCommand({ SecretId }))).SecretString
    const status = async () =>
      (await secrets.send(new DescribeSecretCommand({ SecretId }))).ReplicationStatus?.[0]?.Status
    expect([await seen(), await status()]).toEqual(['one', 'InProgress'])
    await secrets.send(new UntagResourceCommand({ SecretId, TagKeys: [Key] }))
    expect([await seen(), await status()]).toEqual(['two', 'InSync'])
  })
})

test('a role of another account is assumed by whom it trusts, and works in its own account', async () => {
  const account = '210987654321'
  const RoleArn = `arn:aws:iam::${account}:role/OrganizationAccountAccessRole`
  const sts = new STSClient(options(admin))
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'test' }))
  const credentials = {
    accessKeyId: Credentials?.AccessKeyId ?? '',
    secretAccessKey: Credentials?.SecretAccessKey ?? '',
    sessionToken: Credentials?.SessionToken ?? '',
  }
  const there = new STSClient({ ...options(admin), credentials })
  expect(await there.send(new GetCallerIdentityCommand({}))).toMatchObject({ Account: account })
  // A stranger may not, though the role is there.
  const UserName = `user-${randomUUID()}`
  await iam.send(new CreateUserCommand({ UserName }))
  const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName }))
  const stranger = new STSClient(options({ id: key?.AccessKeyId ?? '', secret: key?.SecretAccessKey ?? '' }))
  const asked = stranger.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'test' }))
  expect(await refusal(asked)).toBe('AccessDenied')
})

describe('an IAM access key', () => {
  async function user(): Promise<string> {
    const UserName = `user-${randomUUID()}`
    await iam.send(new CreateUserCommand({ UserName }))
    const PolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: '*' }],
    })
    await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'read', PolicyDocument }))
    return UserName
  }

  async function keyOf(UserName: string): Promise<AccessKey> {
    const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName }))
    return { id: key?.AccessKeyId ?? '', secret: key?.SecretAccessKey ?? '' }
  }

  const read = (key: AccessKey, SecretId: string) =>
    refusal(new SecretsManagerClient(options(key)).send(new GetSecretValueCommand({ SecretId })))

  test('is one of two at most', async () => {
    const UserName = await user()
    const first = await keyOf(UserName)
    await keyOf(UserName)
    expect(await refusal(keyOf(UserName))).toBe('LimitExceededException')
    await iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId: first.id }))
    expect(await refusal(keyOf(UserName))).toBe('accepted')
  })

  test('is refused while it is inactive and once it is deleted', async () => {
    const { SecretId } = await secretWith('one')
    const UserName = await user()
    const key = await keyOf(UserName)
    const set = (Status: 'Active' | 'Inactive') =>
      iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId: key.id, Status }))
    expect(await read(key, SecretId)).toBe('accepted')
    await set('Inactive')
    expect(await read(key, SecretId)).toBe('UnrecognizedClientException')
    await set('Active')
    expect(await read(key, SecretId)).toBe('accepted')
    await iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId: key.id }))
    expect(await read(key, SecretId)).toBe('UnrecognizedClientException')
  })

  test('is made by who may do so for the path of its user, and for no other', async () => {
    const maker = await user()
    const PolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'iam:CreateAccessKey', Resource: 'arn:aws:iam::*:user/ours/*' }],
    })
    await iam.send(new PutUserPolicyCommand({ UserName: maker, PolicyName: 'make', PolicyDocument }))
    const [ours, theirs] = [`ours-${randomUUID()}`, `ours-${randomUUID()}`]
    await iam.send(new CreateUserCommand({ UserName: ours, Path: '/ours/' }))
    await iam.send(new CreateUserCommand({ UserName: theirs }))
    const as = new IAMClient(options(await keyOf(maker)))
    expect(await refusal(as.send(new CreateAccessKeyCommand({ UserName: ours })))).toBe('accepted')
    expect(await refusal(as.send(new CreateAccessKeyCommand({ UserName: theirs })))).toBe('AccessDenied')
    as.destroy()
  })

  test('has a last use, which says when, where and for what', async () => {
    const { SecretId } = await secretWith('one')
    const key = await keyOf(await user())
    const lastUse = async () =>
      (await iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId: key.id }))).AccessKeyLastUsed
    expect(await lastUse()).toMatchObject({ ServiceName: 'N/A' })
    await read(key, SecretId)
    const used = await lastUse()
    expect(used).toMatchObject({ ServiceName: 'secretsmanager', Region: stack.aws.region })
    expect(Math.abs(Date.now() - Number(used?.LastUsedDate))).toBeLessThan(60_000)
  })

  test('is needed: ministack’s back doors for unsigned requests and made-up ids are shut', async () => {
    const { SecretId } = await secretWith('one')
    for (const id of ['test', '123456789012'])
      expect(await read({ id, secret: 'test' }, SecretId)).toBe('UnrecognizedClientException')
    const unsigned = await fetch(stack.aws.endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'secretsmanager.GetSecretValue',
      },
      body: JSON.stringify({ SecretId }),
    })
    expect(unsigned.status).toBe(400)
    expect(await unsigned.text()).not.toContain('one')
  })
})
