import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager'
import { makeIamUser, makeRotatedSecret } from '@rekey/local'
import { afterEach, expect, inject, test } from 'vitest'
import { countAnswers } from './counted-answers.ts'
import { knockAt } from './database-login.ts'
import { startOneNode, startOwnRekey } from './own-rekey.ts'

const stack = inject('stack')
/** The least that the kind needs. */
const POLICY = new URL('../../infra/aws/rekey-managed-rotation.json', import.meta.url)

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of closers.splice(0).reverse()) await end()
})

/** A whole Rekey of its own, a secret with its rotation function, and a node whose applications log in with what that makes. */
async function startWorld() {
  const secret = await makeRotatedSecret(stack)
  closers.push(() => secret.close())
  const { awsEndpoint, awsRegion, awsCredentialsFile } = stack
  const { Statement } = JSON.parse(await readFile(POLICY, 'utf8'))
  const user = await makeIamUser(
    { endpoint: awsEndpoint, region: awsRegion, adminCredentialsFile: awsCredentialsFile },
    `rotations-${randomBytes(4).toString('hex')}`,
    { actions: Statement[0].Action, resource: Statement[0].Resource },
  )
  closers.push(() => user.drop())
  const rekey = await startOwnRekey(stack, {
    name: 'rotated',
    redisDatabase: 14,
    connections: { rotations: await user.newKey(), watcher: secret.watcher },
  })
  closers.push(() => rekey.close())
  const one = await startOneNode(
    rekey,
    {
      purpose: 'database',
      authority: {
        kind: 'aws-managed-rotation',
        strategy: 'alternating-users',
        region: awsRegion,
        secretId: secret.secretId,
        connection: 'rotations',
        watcher: 'watcher',
        endpoints: [{ name: 'primary', url: secret.endpoint }],
        readersMs: 1_000,
        functionMs: 3_000,
      },
    },
    { format: 'value', probe: 'postgres' },
  )
  return {
    ...rekey,
    ...one,
    secret,
    /** What readers of the secret itself get. */
    async shown() {
      const { SecretString = '' } = await secret.aws.send(
        new GetSecretValueCommand({ SecretId: secret.secretId, VersionStage: 'AWSCURRENT' }),
      )
      return SecretString
    },
  }
}

/** Applications that log in again and again: from the node's file, and from the secret itself. Every answer is counted. */
function startLogins({ file, shown }: Awaited<ReturnType<typeof startWorld>>) {
  const reads = [() => readFile(file, 'utf8'), shown]
  return countAnswers(reads.map((read) => async () => knockAt(await read())))
}

test('a login that a rotation function makes is replaced under load, with a rotator killed, and nobody notices', async () => {
  const w = await startWorld()
  const logins = startLogins(w)
  const old: string[] = []
  const turns = [
    (credential: string) => w.control.rotate(credential, 'the yearly audit'),
    (credential: string) => w.control.expedite(credential, 'seen in a paste'),
  ]
  for (const [turn, order] of turns.entries()) {
    old.push(await readFile(w.file, 'utf8'))
    if (turn === 0) w.secret.fn.break('setSecret', 'hangs')
    const { rotation } = await order(w.credential)
    if (turn === 0) {
      await expect.poll(() => w.secret.fn.invoked.at(-1)?.step, { timeout: 30_000 }).toBe('setSecret')
      await w.platform.services.rotator?.kill()
      w.secret.fn.heal()
    }
    expect(await w.ended(rotation)).toBe('closed')
    expect((await w.control.rotation(rotation)).exceptions).toEqual([])
  }
  const { in: ok = 0, ...others } = await logins.stop()
  expect(others).toEqual({})
  expect(ok).toBeGreaterThan(100)
  for (const text of old) expect(await knockAt(text)).toBe('28P01')
  expect(await knockAt(await readFile(w.file, 'utf8'))).toBe('in')
  expect(await w.shown()).toBe((await readFile(w.file, 'utf8')).trimEnd())
})

test('a rollback leaves everybody with the old login, readers of the secret too', async () => {
  const w = await startWorld()
  const before = await readFile(w.file, 'utf8')
  const logins = startLogins(w)
  const { rotation } = await w.control.rotate(w.credential, 'a try')
  await w.reaches(rotation, 'DrainingStarted')
  const tried = await w.shown()
  await w.control.rollback(rotation, 'it is slower')
  expect(await w.ended(rotation)).toBe('rolled-back')
  expect(Object.keys(await logins.stop())).toEqual(['in'])
  expect(await readFile(w.file, 'utf8')).toBe(before)
  expect(await w.shown()).toBe(before.trimEnd())
  expect(await knockAt(tried)).toBe('28P01')
})
