import { readFileSync } from 'node:fs'
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient } from '@aws-sdk/client-iam'
import { Secret, type StoredValue } from '@rekey/contracts'
import { call, proxyFaults, startFaultProxy, testAuthority } from '@rekey/testing'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { accessKeyIn } from './access-key.ts'
import { connectIam } from './iam.ts'
import { type IamAccessKeyOptions, iamAccessKey } from './iam-access-key.ts'

const { awsEndpoint, awsRegion, awsCredentialsFile } = inject('stack')
const connect = (endpoint: string) =>
  connectIam({ region: awsRegion, endpoint, credentialsFile: awsCredentialsFile, timeoutMs: 5_000 })

function adminCredentials() {
  const text = readFileSync(awsCredentialsFile, 'utf8')
  const of = (field: string) => new RegExp(`${field}\\s*=\\s*(\\S+)`).exec(text)?.[1] ?? ''
  return { accessKeyId: of('aws_access_key_id'), secretAccessKey: of('aws_secret_access_key') }
}

/** A fresh user without a key, on the AWS endpoint, and a way there that can be broken. */
async function givenUser(waits: Pick<IamAccessKeyOptions, 'keptWithinMs' | 'soakMs'>) {
  const user = `u-${crypto.randomUUID()}`
  const admin = new IAMClient({
    region: awsRegion,
    endpoint: awsEndpoint,
    credentials: adminCredentials(),
  })
  await admin.send(new CreateUserCommand({ UserName: user }))
  const proxy = await startFaultProxy(awsEndpoint)
  const [sound, broken] = [connect(awsEndpoint), connect(proxy.url)]
  const keyIds = new Map<number, string>()
  const options = { user, keyIdOf: (generation: number) => keyIds.get(generation), ...waits }
  return {
    authority: iamAccessKey(broken, options),
    another: iamAccessKey(sound, options),
    sound,
    user,
    faults: proxyFaults(proxy, {
      status: 400,
      headers: { 'content-type': 'text/xml' },
      body: '<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>',
    }),
    provider: {
      keep: ({ generation, keyId }: StoredValue) => void keyIds.set(generation, keyId),
      async foreignMint() {
        const { AccessKey } = await admin.send(new CreateAccessKeyCommand({ UserName: user }))
        return AccessKey?.AccessKeyId ?? ''
      },
      // IAM's keys bear no mark: what is unused and was made since is taken for what nobody kept.
      tellsForeign: false,
      secretOf: (value: Secret) => accessKeyIn(value)?.secret ?? value,
    },
    async close() {
      for (const client of [sound, broken]) client.close()
      admin.destroy()
      await proxy.close()
    },
  }
}

// IAM says when a key was made in whole seconds.
testAuthority('aws-iam-access-key', () => givenUser({ keptWithinMs: 2_500, soakMs: 2_500 }))

/** For one test alone, with a first key. */
async function givenKey(waits: Pick<IamAccessKeyOptions, 'keptWithinMs' | 'soakMs'> = {}) {
  const given = await givenUser(waits)
  onTestFinished(() => given.close())
  const { another } = given
  const mint = async (generation: number, known: string[] = []) => {
    const minted = await another.mint?.(known, call('r.stage'), generation)
    if (!minted) throw new Error('it cannot mint')
    return { generation, ...minted }
  }
  const value = await mint(1)
  given.provider.keep(value)
  return { ...given, mint, value }
}

test('is one line as credential_process has it, and its id is the key id', async () => {
  const { value } = await givenKey()
  expect(value.value.reveal()).not.toContain('\n')
  expect(JSON.parse(value.value.reveal())).toMatchObject({ Version: 1, AccessKeyId: value.keyId })
})

test('says of a third key by name which two there are', async () => {
  const { mint, value } = await givenKey()
  const second = await mint(2, [value.keyId])
  await expect(mint(3, [value.keyId, second.keyId])).rejects.toMatchObject({
    code: 'not_allowed_now',
    message: expect.stringContaining(second.keyId),
  })
})

describe('what an attempt could not keep', () => {
  test('is left alone at first: a worker that was slow may keep it yet', async () => {
    const { mint, sound, user, value } = await givenKey({ keptWithinMs: 60_000 })
    await expect(mint(1)).rejects.toMatchObject({ code: 'backend_unavailable', retryable: true })
    expect(await sound.list(user)).toMatchObject([{ id: value.keyId, status: 'Active' }])
  })

  test('is only inactive then until its soak is over, in case that somebody has it', async () => {
    const { mint, sound, user, value } = await givenKey({ keptWithinMs: 0, soakMs: 60_000 })
    await expect(mint(1)).rejects.toMatchObject({ code: 'backend_unavailable', retryable: true })
    expect(await sound.list(user)).toMatchObject([{ id: value.keyId, status: 'Inactive' }])
  })
})

describe('trying a key', () => {
  test('shows nothing where it is not a key, or has the wrong secret', async () => {
    const { another, value } = await givenKey()
    const wrong = JSON.parse(value.value.reveal())
    wrong.SecretAccessKey = 'x'.repeat(40)
    for (const text of ['not a key', JSON.stringify(wrong)])
      expect(await another.probe(Secret.of(text), call('probe'))).toMatchObject([{ verdict: 'unknown' }])
  })

  test('a key that AWS never made is refused', async () => {
    const { another } = await givenKey()
    const value = Secret.of(
      JSON.stringify({ Version: 1, AccessKeyId: 'AKIAREKEYNOBODYNOBOD', SecretAccessKey: 'x'.repeat(40) }),
    )
    expect(await another.probe(value, call('probe'))).toMatchObject([{ verdict: 'refused' }])
  })
})
