import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CancelRotateSecretCommand,
  CreateSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RotateSecretCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager'
import { Secret } from '@rekey/contracts'
import { makeIamUser } from '@rekey/local'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { callOf, type GivenOptions, givenRotatedSecret } from '../test/given-rotated-secret.ts'

const stack = inject('stack')

async function given(options: GivenOptions = {}) {
  const made = await givenRotatedSecret(stack, { followMs: 2_500, ...options })
  onTestFinished(() => made.close())
  const mint = async (generation: number) => {
    const value = { generation, ...(await made.another.mint([], callOf('r.stage'), generation)) }
    made.keep(value)
    return value
  }
  const send = made.secret.aws.send.bind(made.secret.aws)
  return { ...made, mint, send, SecretId: made.secret.secretId, fn: made.secret.fn }
}

const refusal = (code: string, ...words: string[]) => ({
  code,
  message: expect.stringMatching(new RegExp(words.map((word) => `(?=.*${word})`).join(''))),
})

describe('a secret that does not suit', () => {
  test('has no rotation function', async () => {
    const g = await given()
    const secretId = `${g.SecretId}-bare`
    await g.send(new CreateSecretCommand({ Name: secretId, SecretString: '{}' }))
    const bare = g.bind({ secretId })
    await expect(bare.mint([], callOf('r.stage'), 1)).rejects.toMatchObject(
      refusal('invalid_configuration', 'has no rotation function', 'rotation-lambda-arn'),
    )
  })

  test('has one that is turned off', async () => {
    const g = await given()
    await g.send(new CancelRotateSecretCommand({ SecretId: g.SecretId }))
    await expect(g.mint(1)).rejects.toMatchObject(
      refusal('invalid_configuration', 'turned off', 'rotate-secret --secret-id'),
    )
    expect(g.fn.invoked).toEqual([])
  })

  test('is rotated by AWS itself sooner than anybody may', async () => {
    const g = await given({ days: 30 })
    await expect(g.mint(1)).rejects.toMatchObject(
      refusal('invalid_configuration', 'every 30 days', 'AutomaticallyAfterDays=1000'),
    )
  })

  test('is not there, or in another region', async () => {
    const g = await given()
    for (const elsewhere of [g.bind({ secretId: 'rotated/nobody' }), g.bind({ region: 'eu-west-1' })])
      await expect(elsewhere.mint([], callOf('r.stage'), 1)).rejects.toMatchObject(
        refusal('not_found', 'there is none of that name in (eu-west-1|us-east-1)'),
      )
  })

  test('has a function for a single user: readers of it keep what works', async () => {
    const g = await given({ singleUser: true })
    for (const _again of [1, 2])
      await expect(g.mint(1)).rejects.toMatchObject(
        refusal('invalid_configuration', `the password of ${g.secret.users[0]} itself`, 'alternating users'),
      )
    const { SecretString = '' } = await g.send(new GetSecretValueCommand({ SecretId: g.SecretId }))
    expect((await g.another.probe(Secret.of(SecretString), callOf('probe')))[0]?.verdict).toBe('accepted')
  })

  test('holds something that the function cannot read', async () => {
    const g = await given({ functionMs: 0 })
    await g.send(new PutSecretValueCommand({ SecretId: g.SecretId, SecretString: 'planted-no-json{' }))
    await expect(g.mint(1)).rejects.toMatchObject(refusal('function_failed', 'at createSecret'))
  })
})

describe('without a right', () => {
  test('to rotate it, which one is said', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'rekey-rotated-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    const g = await given()
    const { awsEndpoint: endpoint, awsRegion: region, awsCredentialsFile: adminCredentialsFile } = stack
    const rights = {
      actions: ['secretsmanager:DescribeSecret', 'secretsmanager:GetSecretValue'],
      resource: '*',
    }
    const user = await makeIamUser({ endpoint, region, adminCredentialsFile }, g.secret.users[0], rights)
    onTestFinished(() => user.drop())
    const credentialsFile = join(dir, 'credentials')
    await writeFile(credentialsFile, await user.newKey(), { mode: 0o600 })
    await expect(g.bind({ credentialsFile }).mint([], callOf('r.stage'), 1)).rejects.toMatchObject(
      refusal('permission_denied', 'secretsmanager:RotateSecret'),
    )
    expect(g.fn.invoked).toEqual([])
  })

  test('to invoke its function, as AWS says where it is gone', async () => {
    const g = await given()
    await g.fn.close()
    await expect(g.mint(1)).rejects.toMatchObject(
      refusal('permission_denied', 'lambda:InvokeFunction', "the function's own policy"),
    )
  })
})

describe('somebody else', () => {
  const rotate = (g: Awaited<ReturnType<typeof given>>) =>
    g.send(new RotateSecretCommand({ SecretId: g.SecretId }))
  const pendingOf = async (g: Awaited<ReturnType<typeof given>>) =>
    Object.entries(await g.labels()).find(([, held]) => held.includes('AWSPENDING'))?.[0] ?? ''

  test('who has a rotation under way is waited for', async () => {
    const g = await given()
    g.fn.break('setSecret', 'hangs')
    await rotate(g)
    await expect(g.mint(1)).rejects.toMatchObject({
      ...refusal('backend_unavailable', 'somebody else has a rotation', await pendingOf(g)),
      retryable: true,
    })
  })

  test('whose rotation failed is named, with the way out', async () => {
    const g = await given({ functionMs: 0 })
    g.fn.break('setSecret', 'fails')
    await rotate(g)
    await expect.poll(() => g.fn.invoked.length).toBe(2)
    const pending = await pendingOf(g)
    await expect(g.mint(1)).rejects.toMatchObject(
      refusal('foreign_writer', 'let it finish', `--remove-from-version-id ${pending}`),
    )
    g.fn.heal()
    await g.send(
      new UpdateSecretVersionStageCommand({
        SecretId: g.SecretId,
        VersionStage: 'AWSPENDING',
        RemoveFromVersionId: pending,
      }),
    )
    expect(await g.mint(1)).toMatchObject({ generation: 1 })
  })

  test('who rotated after us is not overwritten', async () => {
    const g = await given()
    const ours = await g.mint(1)
    await g.another.show(1, callOf('r.promote'))
    await rotate(g)
    await expect.poll(async () => (await g.labels())[ours.keyId]).toEqual(['AWSPREVIOUS'])
    await expect.poll(() => g.fn.invoked.length).toBe(8)
    await expect(g.mint(2)).rejects.toMatchObject(
      refusal('foreign_writer', 'somebody else made after', `--move-to-version-id ${ours.keyId}`),
    )
    await expect(g.another.show(1, callOf('r.restore'))).rejects.toMatchObject({ code: 'foreign_writer' })
    expect((await g.another.probe(ours.value, callOf('probe')))[0]?.verdict).toBe('accepted')
  })

  test('who rotated twice has ended ours, and that is said', async () => {
    const g = await given()
    const ours = await g.mint(1)
    await g.another.show(1, callOf('r.promote'))
    for (const _run of [1, 2]) {
      const { VersionId = '' } = await rotate(g)
      await expect.poll(async () => (await g.labels())[VersionId]).toContain('AWSCURRENT')
    }
    await expect(g.another.install(ours, callOf('r.install'))).rejects.toMatchObject(
      refusal('not_allowed_now', 'overwritten by a later run'),
    )
  })

  test('who took AWSPENDING away from ours is told of', async () => {
    const g = await given({ functionMs: 0 })
    g.fn.break('setSecret', 'fails')
    await expect(g.mint(1)).rejects.toMatchObject({ code: 'function_failed' })
    await g.send(
      new UpdateSecretVersionStageCommand({
        SecretId: g.SecretId,
        VersionStage: 'AWSPENDING',
        RemoveFromVersionId: await pendingOf(g),
      }),
    )
    await expect(g.mint(1)).rejects.toMatchObject(refusal('value_lost', 'overwritten or given up since'))
  })
})
