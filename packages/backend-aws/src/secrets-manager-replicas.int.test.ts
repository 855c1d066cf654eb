import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  SecretsManagerClient,
  TagResourceCommand,
  UntagResourceCommand,
} from '@aws-sdk/client-secrets-manager'
import { call, plantedSecret, safeErrorOf } from '@rekey/testing'
import { afterAll, expect, inject, test } from 'vitest'
import { connectSecretsManager } from './client.ts'
import { secretsManagerStore } from './secrets-manager-store.ts'

const { awsEndpoint, awsRegion, awsCredentialsFile, identitiesDir } = inject('stack')
const ABROAD = 'eu-west-1'
const credentialsFile = join(identitiesDir, 'rotator', 'aws-credentials')
const connect = (region: string) => connectSecretsManager({ region, endpoint: awsEndpoint, credentialsFile })
const home = connect(awsRegion)
const abroad = connect(ABROAD)
const value = (generation: number) => ({ generation, keyId: `key-${generation}`, value: plantedSecret() })

/** The endpoint copies to replicas at once, unless it is told to hold them back. */
const admin = new SecretsManagerClient({ region: awsRegion, endpoint: awsEndpoint, credentials: adminKey() })
const MARK = 'rekey-emulator:replicas'
const hold = (SecretId: string) =>
  admin.send(new TagResourceCommand({ SecretId, Tags: [{ Key: MARK, Value: 'held' }] }))
const letGo = (SecretId: string) => admin.send(new UntagResourceCommand({ SecretId, TagKeys: [MARK] }))

afterAll(() => {
  for (const client of [home, abroad]) client.close()
  admin.destroy()
})

function adminKey() {
  const text = readFileSync(awsCredentialsFile, 'utf8')
  const of = (field: string) => new RegExp(`${field}\\s*=\\s*(\\S+)`).exec(text)?.[1] ?? ''
  return { accessKeyId: of('aws_access_key_id'), secretAccessKey: of('aws_secret_access_key') }
}

function secret() {
  const secretId = `replicas/${randomUUID()}`
  const store = secretsManagerStore(home, { secretId, replicas: [{ region: ABROAD, client: abroad }] })
  const shownAbroad = async () => (await abroad.get(secretId, { label: 'AWSCURRENT' }))?.versionId
  return { secretId, store, shownAbroad }
}

/** With a first generation that both regions show. */
async function live() {
  const made = secret()
  const old = value(1)
  await made.store.stage(old, call('r1.stage.s'))
  const first = await made.store.promote(1, undefined, call('r1.promote.s'))
  return { ...made, old, first }
}

test('a secret that Rekey makes is replicated, and shows there what is promoted', async () => {
  const { first, shownAbroad } = await live()
  expect(await shownAbroad()).toBe(first)
})

test('a promotion is not done before each replica shows it', async () => {
  const { secretId, store, first, shownAbroad } = await live()
  const next = value(2)
  await store.stage(next, call('r2.stage.s'))
  await hold(secretId)
  const error = await safeErrorOf(store.promote(2, first, call('r2.promote.s')), next.value)
  expect(error).toMatchObject({ code: 'replica_behind', retryable: true })
  expect(error.message).toContain(`not yet in ${ABROAD} (InProgress)`)
  // At home it is current already, and a repeat of the call says the same until the copy is there.
  expect(await store.readCurrent(call('read'))).toMatchObject({ generation: 2 })
  expect(await shownAbroad()).toBe(first)
  expect((await safeErrorOf(store.promote(2, first, call('r2.promote.s')))).code).toBe('replica_behind')
  await letGo(secretId)
  const second = await store.promote(2, first, call('r2.promote.s'))
  expect(await shownAbroad()).toBe(second)
})

test('a replica that is a little late is waited for', async () => {
  const { secretId, store, first, shownAbroad } = await live()
  await store.stage(value(2), call('r2.stage.s'))
  await hold(secretId)
  const promoting = store.promote(2, first, call('r2.promote.s'))
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(await shownAbroad()).toBe(first)
  await letGo(secretId)
  expect(await shownAbroad()).toBe(await promoting)
})

test('a wait for a replica ends with the time of the call', async () => {
  const { secretId, store, first } = await live()
  await store.stage(value(2), call('r2.stage.s'))
  await hold(secretId)
  const before = performance.now()
  const error = await safeErrorOf(store.promote(2, first, call('r2.promote.s', 700)))
  expect(error.code).toBe('backend_timeout')
  expect(performance.now() - before).toBeLessThan(1_500)
  await letGo(secretId)
})

test('a rollback and a withdrawal wait for replicas, too: readers there have the old value', async () => {
  const { secretId, store, old, first, shownAbroad } = await live()
  await store.stage(value(2), call('r2.stage.s'))
  await store.promote(2, first, call('r2.promote.s'))
  await hold(secretId)
  const restore = () => store.restore(old, call('r2.restore.s'))
  expect((await safeErrorOf(restore(), old.value)).code).toBe('replica_behind')
  await letGo(secretId)
  const restored = await restore()
  expect(await shownAbroad()).toBe(restored)
  await hold(secretId)
  const withdraw = () => store.withdraw(1, call('r3.withdraw.s'))
  expect((await safeErrorOf(withdraw(), old.value)).code).toBe('replica_behind')
  await letGo(secretId)
  const withdrawn = await withdraw()
  expect(await shownAbroad()).toBe(withdrawn)
  // A late repeat does not wait for what is not current any more.
  await store.stage(value(3), call('r4.stage.s'))
  await store.promote(3, withdrawn, call('r4.promote.s'))
  expect(await withdraw()).toBe(withdrawn)
  expect(await restore()).toBe(restored)
})

test('says so where the secret has no replica in a declared region', async () => {
  const { secretId, first } = await live()
  const nowhere = { region: 'ap-southeast-2', client: connect('ap-southeast-2') }
  const store = secretsManagerStore(home, { secretId, replicas: [nowhere] })
  await store.stage(value(2), call('r2.stage.s'))
  const error = await safeErrorOf(store.promote(2, first, call('r2.promote.s')))
  expect(error).toMatchObject({ code: 'not_found', retryable: false })
  expect(error.message).toContain('is not replicated to ap-southeast-2')
  nowhere.client.close()
})

test('says where the primary is if it is given a replica’s region', async () => {
  const { secretId } = await live()
  const next = value(2)
  const error = await safeErrorOf(
    secretsManagerStore(abroad, { secretId }).stage(next, call('r2.stage.s')),
    next.value,
  )
  expect(error).toMatchObject({ code: 'invalid_configuration' })
  expect(error.message).toContain(
    `in ${ABROAD} it is a replica; give the region of its primary, ${awsRegion}`,
  )
})
