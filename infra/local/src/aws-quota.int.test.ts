import { readFile } from 'node:fs/promises'
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseCredentialsFile } from './aws.ts'
import { type Stack, startStack } from './stack.ts'

// What is tested here is the way without Docker.
process.env.REKEY_STACK_DOCKER = 'no'
const QUOTA = 5

let stack: Stack
const clients: SecretsManagerClient[] = []

beforeAll(async () => {
  process.env.REKEY_STACK_AWS_QUOTA = String(QUOTA)
  stack = await startStack({ only: ['aws'], own: true })
  delete process.env.REKEY_STACK_AWS_QUOTA
}, 120_000)

afterAll(async () => {
  for (const client of clients) client.destroy()
  await stack.stop()
})

async function clientIn(region: string): Promise<SecretsManagerClient> {
  const key = parseCredentialsFile(await readFile(stack.aws.adminCredentialsFile, 'utf8'))
  const made = new SecretsManagerClient({
    endpoint: stack.aws.endpoint,
    region,
    credentials: { accessKeyId: key?.id ?? '', secretAccessKey: key?.secret ?? '' },
    maxAttempts: 1,
  })
  clients.push(made)
  return made
}

const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (error: Error) => error.name,
  )

test('writes above the quota of an account and region are throttled, and nothing else is', async () => {
  const here = await clientIn(stack.aws.region)
  const SecretId = 'busy'
  const { VersionId } = await here.send(new CreateSecretCommand({ Name: SecretId, SecretString: 'one' }))
  const write = (client = here) =>
    refusal(
      client.send(
        new UpdateSecretVersionStageCommand({ SecretId, VersionStage: 'BUSY', MoveToVersionId: VersionId }),
      ),
    )
  const startedAt = performance.now()
  const seen = await Promise.all(Array.from({ length: 10 * QUOTA }, () => write()))
  const seconds = (performance.now() - startedAt) / 1_000
  const accepted = seen.filter((name) => name === 'accepted').length
  expect(new Set(seen)).toEqual(new Set(['accepted', 'ThrottlingException']))
  expect(accepted).toBeGreaterThanOrEqual(QUOTA)
  expect(accepted).toBeLessThanOrEqual(QUOTA * (1 + seconds) + 1)
  expect(await refusal(here.send(new GetSecretValueCommand({ SecretId })))).toBe('accepted')
  // Another region has a quota of its own; there is no such secret there.
  expect(await write(await clientIn('eu-west-3'))).toBe('ResourceNotFoundException')
})
