import { randomUUID } from 'node:crypto'
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  RotateSecretCommand,
} from '@aws-sdk/client-secrets-manager'
import { expect, inject, onTestFinished, test } from 'vitest'
import { makeRotatedSecret } from './rotated-secret.ts'
import { ROTATION_STEPS } from './rotation-function.ts'

const stack = inject('stack')

async function given() {
  const secret = await makeRotatedSecret(stack)
  onTestFinished(() => secret.close())
  const { aws, fn, secretId: SecretId } = secret
  const rotate = (ClientRequestToken: string) =>
    aws.send(new RotateSecretCommand({ SecretId, ClientRequestToken })).then(
      ({ VersionId }) => String(VersionId),
      (error: Error) => error.name,
    )
  const describeIt = () => aws.send(new DescribeSecretCommand({ SecretId }))
  const labelsOf = async (token: string) => (await describeIt()).VersionIdsToStages?.[token] ?? []
  const valueAt = (VersionId: string) => aws.send(new GetSecretValueCommand({ SecretId, VersionId }))
  return { secret, fn, rotate, describeIt, labelsOf, valueAt }
}

test('RotateSecret runs the four steps of the function with its token, and then says when', async () => {
  const g = await given()
  const token = randomUUID()
  expect(await g.rotate(token)).toBe(token)
  await expect.poll(async () => (await g.describeIt()).LastRotatedDate).toBeInstanceOf(Date)
  expect(g.fn.invoked).toEqual(ROTATION_STEPS.map((step) => ({ step, token })))
  expect(await g.labelsOf(token)).toContain('AWSCURRENT')
  const { SecretString = '' } = await g.valueAt(token)
  expect(JSON.parse(SecretString)).toMatchObject({ username: g.secret.users[1] })
  const close = await g.secret.logIn(SecretString)
  await close()
})

test('the token of a version that exists makes no second one', async () => {
  const g = await given()
  const token = randomUUID()
  await g.rotate(token)
  await expect.poll(async () => (await g.describeIt()).LastRotatedDate).toBeInstanceOf(Date)
  expect(await g.rotate(token)).toBe(token)
  expect(g.fn.invoked).toHaveLength(4)
})

test('a function that fails leaves AWSPENDING on a version without a value, and is run again for it when asked', async () => {
  const g = await given()
  const token = randomUUID()
  g.fn.break('createSecret', 'fails')
  await g.rotate(token)
  await expect.poll(() => g.fn.invoked.length).toBe(1)
  expect(await g.labelsOf(token)).toEqual(['AWSPENDING'])
  await expect(g.valueAt(token)).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  g.fn.heal()
  expect(await g.rotate(randomUUID())).toBe('InvalidRequestException')
  await expect.poll(() => g.labelsOf(token)).toContain('AWSCURRENT')
})

test('a function that cannot be invoked is an error at once, and nothing is left', async () => {
  const g = await given()
  await g.fn.close()
  const token = randomUUID()
  expect(await g.rotate(token)).toBe('AccessDeniedException')
  expect(await g.labelsOf(token)).toEqual([])
})
