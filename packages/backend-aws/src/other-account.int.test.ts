import { randomInt, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam'
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import { call, plantedSecret, safeErrorOf } from '@rekey/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { connectSecretsManager } from './client.ts'
import type { AwsConnection } from './connection.ts'
import { secretsManagerStore } from './secrets-manager-store.ts'

/** An account that the rotator has no identity in, with a role for it: the role may do all with secrets below `ours/`. */
const { awsEndpoint, awsRegion, awsCredentialsFile, identitiesDir } = inject('stack')
const account = String(randomInt(100_000_000_000, 999_999_999_999))
const EXTERNAL_ID = 'rekey-of-ours'
const ROTATOR = 'arn:aws:iam::000000000000:user/rekey-rotator'
const place = { region: awsRegion, endpoint: awsEndpoint }

const connect = (role?: AwsConnection['role']) =>
  connectSecretsManager({
    ...place,
    credentialsFile: join(identitiesDir, 'rotator', 'aws-credentials'),
    ...(role && { role }),
  })
const roleArn = (name: string, path = '/rekey/') => `arn:aws:iam::${account}:role${path}${name}`
const value = (generation: number) => ({ generation, keyId: `key-${generation}`, value: plantedSecret() })
const clients: { close(): void }[] = []
const as = (role?: AwsConnection['role']) => {
  const client = connect(role)
  clients.push(client)
  return client
}

beforeAll(async () => {
  const text = readFileSync(awsCredentialsFile, 'utf8')
  const of = (field: string) => new RegExp(`${field}\\s*=\\s*(\\S+)`).exec(text)?.[1] ?? ''
  const sts = new STSClient({
    ...place,
    credentials: { accessKeyId: of('aws_access_key_id'), secretAccessKey: of('aws_secret_access_key') },
  })
  const { Credentials: admin } = await sts.send(
    new AssumeRoleCommand({
      RoleArn: roleArn('OrganizationAccountAccessRole', '/'),
      RoleSessionName: 'set-up',
    }),
  )
  sts.destroy()
  const iam = new IAMClient({
    ...place,
    credentials: {
      accessKeyId: admin?.AccessKeyId ?? '',
      secretAccessKey: admin?.SecretAccessKey ?? '',
      sessionToken: admin?.SessionToken ?? '',
    },
  })
  const role = async (RoleName: string, Path: string) => {
    const document = (statement: object) =>
      JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...statement }] })
    const AssumeRolePolicyDocument = document({
      Principal: { AWS: ROTATOR },
      Action: 'sts:AssumeRole',
      Condition: { StringEquals: { 'sts:ExternalId': EXTERNAL_ID } },
    })
    await iam.send(new CreateRoleCommand({ RoleName, Path, AssumeRolePolicyDocument }))
    const PolicyDocument = document({
      Action: 'secretsmanager:*',
      Resource: `arn:aws:secretsmanager:*:${account}:secret:ours/*`,
    })
    await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'stores', PolicyDocument }))
  }
  await role('stores', '/rekey/')
  await role('elsewhere', '/')
  iam.destroy()
})

afterAll(() => {
  for (const client of clients) client.close()
})

test('reaches a secret of another account by a role, and leaves its own account alone', async () => {
  const secretId = `ours/${randomUUID()}`
  const there = as({ arn: roleArn('stores'), externalId: EXTERNAL_ID })
  const store = secretsManagerStore(there, { secretId })
  const staged = value(1)
  await store.stage(staged, call('r1.stage.s'))
  await store.promote(1, undefined, call('r1.promote.s'))
  const read = await store.readCurrent(call('read'))
  expect(read?.value.equals(staged.value)).toBe(true)
  expect(await as().labels(secretId)).toBeUndefined()
})

test('opens one session for many calls at once', async () => {
  const there = as({ arn: roleArn('stores'), externalId: EXTERNAL_ID })
  const secretId = `ours/${randomUUID()}`
  const found = await Promise.all(Array.from({ length: 8 }, () => there.labels(secretId)))
  expect(found).toEqual(Array.from({ length: 8 }, () => undefined))
})

test.each([
  ['a wrong external id', { arn: roleArn('stores'), externalId: 'of-others' }],
  ['no external id', { arn: roleArn('stores') }],
  ['a role that does not exist', { arn: roleArn('nobody'), externalId: EXTERNAL_ID }],
  ['a role that our own rights do not cover', { arn: roleArn('elsewhere', '/'), externalId: EXTERNAL_ID }],
])('says what a role needs that cannot be assumed: %s', async (_, role) => {
  const next = value(1)
  const store = secretsManagerStore(as(role), { secretId: `ours/${randomUUID()}` })
  const error = await safeErrorOf(store.stage(next, call('r1.stage.s')), next.value)
  expect(error).toMatchObject({ code: 'permission_denied', retryable: false })
  expect(error.message).toContain(`assume the role ${role.arn}: AWS answered AccessDenied`)
  expect(error.message).toMatch(/its trust policy must name .*sts:AssumeRole on it/)
})

test('says which secret the role has no right to', async () => {
  const there = as({ arn: roleArn('stores'), externalId: EXTERNAL_ID })
  const error = await safeErrorOf(
    secretsManagerStore(there, { secretId: 'theirs/x' }).readCurrent(call('read')),
  )
  expect(error.code).toBe('permission_denied')
  expect(error.message).toContain('read the secret theirs/x')
})
