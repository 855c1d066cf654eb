import { randomUUID } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager'
import { call, drip, plantedSecret, safeErrorOf, startFaultProxy, startHttpServer } from '@rekey/testing'
import { expect, inject, onTestFinished, test } from 'vitest'
import { connectSecretsManager } from './client.ts'
import { awsQuotas } from './quota.ts'
import { TOMBSTONE, WITHDRAWN } from './secret-string.ts'
import { secretsManagerStore } from './secrets-manager-store.ts'
import { generationVersion, withdrawalVersion } from './version-id.ts'

const { awsEndpoint, awsRegion, identitiesDir } = inject('stack')
const rotatorsFile = join(identitiesDir, 'rotator', 'aws-credentials')
const connect = (endpoint: string, credentialsFile = rotatorsFile) =>
  connectSecretsManager({ region: awsRegion, endpoint, credentialsFile })
const value = (generation: number) => ({ generation, keyId: `key-${generation}`, value: plantedSecret() })

test('costs four calls until readers have the new value, and three to end the old one', async () => {
  const proxy = await startFaultProxy(awsEndpoint)
  const store = secretsManagerStore(connect(proxy.url), { secretId: `layout/${randomUUID()}` })
  await store.stage(value(1), call('r1.stage.s'))
  let current = await store.promote(1, undefined, call('r1.promote.s'))
  // The third finds what the second left.
  for (const generation of [2, 3]) {
    proxy.heal()
    await store.stage(value(generation), call(`r${generation}.stage.s`))
    current = await store.promote(generation, current, call(`r${generation}.promote.s`))
    expect(proxy.count).toBe(4)
    proxy.heal()
    await store.destroy(generation - 1, call(`r${generation}.destroy.s`))
    expect(proxy.count).toBe(3)
  }
  await proxy.close()
})

test('leaves AWSPENDING on what is current, as AWS allows, and calls it pending no more', async () => {
  const secretId = `layout/${randomUUID()}`
  const client = connect(awsEndpoint)
  const store = secretsManagerStore(client, { secretId })
  await store.stage(value(1), call('r1.stage.s'))
  const first = await store.promote(1, undefined, call('r1.promote.s'))
  expect((await client.labels(secretId))?.get(first)?.toSorted()).toEqual([
    'AWSCURRENT',
    'AWSPENDING',
    'REKEY-1',
  ])
  expect(await store.list(call('list'))).toEqual([
    { storeVersion: first, labels: ['current'], generation: 1 },
  ])
  const second = await store.stage(value(2), call('r2.stage.s'))
  expect((await client.labels(secretId))?.get(first)?.toSorted()).toEqual(['AWSCURRENT', 'REKEY-1'])
  await store.promote(2, first, call('r2.promote.s'))
  await store.withdraw(2, call('r2.withdraw.s'))
  // It is not current any more, and was never taken for staged.
  expect(await store.list(call('list'))).toContainEqual({
    storeVersion: second.storeVersion,
    labels: ['previous'],
    generation: 2,
  })
  await store.stage(value(3), call('r3.stage.s'))
})

test('stops routine work before the secret is full of versions, and lets emergencies go on', async () => {
  const secretId = `layout/${randomUUID()}`
  const client = connect(awsEndpoint)
  const store = secretsManagerStore(client, { secretId })
  await store.stage(value(1), call('r1.stage.s'))
  const first = await store.promote(1, undefined, call('r1.promote.s'))
  // Two are there; these lose their label to the next one.
  for (let n = 0; n < 88; n++)
    await client.put(secretId, { token: randomUUID(), text: plantedSecret(), labels: ['BYHAND'] })
  const next = value(2)
  const full = await safeErrorOf(store.stage(next, call('r2.stage.s')), next.value)
  expect(full).toMatchObject({ code: 'quota_exhausted', retryable: true })
  expect(full.message).toMatch(/has 90 versions .*last 10 .*there is room again at /)
  const urgent = (key: string) => ({ ...call(key), urgent: true })
  await store.stage(next, urgent('r2.stage.s'))
  const second = await store.promote(2, first, urgent('r2.promote.s'))
  await store.withdraw(2, call('r2.withdraw.s'))
  await store.restore({ ...value(1) }, call('r2.restore.s'))
  for (let n = 0; n < 7; n++)
    await client.put(secretId, { token: randomUUID(), text: plantedSecret(), labels: ['BYHAND'] })
  expect((await safeErrorOf(store.stage(value(3), urgent('r3.stage.s')))).message).toMatch(/100 versions/)
  // AWS's own words, where nobody looked before.
  const put = client.put(secretId, { token: randomUUID(), text: plantedSecret(), labels: ['BYHAND'] })
  expect(await safeErrorOf(put)).toMatchObject({ code: 'quota_exhausted' })
  expect(second).toBe(generationVersion(secretId, 2))
})

test('gets on without the right to list versions, which older policies did not give', async () => {
  const proxy = await startFaultProxy(awsEndpoint)
  const secretId = `layout/${randomUUID()}`
  const store = secretsManagerStore(connect(proxy.url), { secretId })
  proxy.arm(1, {
    kind: 'answer',
    status: 400,
    headers: { 'content-type': 'application/x-amz-json-1.1' },
    body: JSON.stringify({ __type: 'AccessDeniedException', message: 'no' }),
  })
  await store.stage(value(1), call('r1.stage.s'))
  const first = await store.promote(1, undefined, call('r1.promote.s'))
  proxy.heal()
  await store.stage(value(2), call('r2.stage.s'))
  // It is not asked for again.
  expect(proxy.count).toBe(2)
  await store.promote(2, first, call('r2.promote.s'))
  await proxy.close()
})

test('makes a pause for all clients of an account and region when AWS asks for one', async () => {
  const proxy = await startFaultProxy(awsEndpoint)
  const quotas = awsQuotas()
  const [one, other] = [1, 2].map(() =>
    connectSecretsManager({ region: awsRegion, endpoint: proxy.url, credentialsFile: rotatorsFile, quotas }),
  )
  const secretId = `layout/${randomUUID()}`
  const put = (client = one, labels = ['BYHAND']) =>
    client?.put(secretId, { token: randomUUID(), text: plantedSecret(), labels })
  await one?.create(secretId, randomUUID(), plantedSecret())
  proxy.arm(1, {
    kind: 'answer',
    status: 400,
    headers: { 'content-type': 'application/x-amz-json-1.1' },
    body: JSON.stringify({ __type: 'ThrottlingException', message: 'Rate exceeded' }),
  })
  expect(await safeErrorOf(put() ?? Promise.resolve())).toMatchObject({ code: 'throttled' })
  const before = performance.now()
  expect(await put(other)).toBe('done')
  expect(performance.now() - before).toBeGreaterThan(300)
  expect(proxy.count).toBe(2)
  for (const client of [one, other]) client?.close()
  await proxy.close()
})

test('hides the first staged value too, although AWS makes the first version of a secret current', async () => {
  const secretId = `layout/${randomUUID()}`
  const client = connect(awsEndpoint)
  const store = secretsManagerStore(client, { secretId })
  await store.stage(value(1), call('r1.stage.s'))
  expect(await store.readCurrent(call('read'))).toBeUndefined()
  const seen = await client.get(secretId, { label: 'AWSCURRENT' })
  expect(seen?.text.reveal()).not.toContain('value"')
  await store.destroy(1, call('r1.destroy.s'))
  expect(await store.read(1, call('read'))).toBeUndefined()
  expect(await store.list(call('list'))).toEqual([])
})

test('writes what any reader understands, tagged as ours', async () => {
  const secretId = `layout/${randomUUID()}`
  const store = secretsManagerStore(connect(awsEndpoint), { secretId })
  const first = value(1)
  await store.stage(first, call('r1.stage.s'))
  const version = await store.promote(1, undefined, call('r1.promote.s'))
  expect(version).toBe(generationVersion(secretId, 1))
  const text = /aws_access_key_id = (\S+)\s+aws_secret_access_key = (\S+)/.exec(
    await readFile(rotatorsFile, 'utf8'),
  )
  const sdk = new SecretsManagerClient({
    region: awsRegion,
    endpoint: awsEndpoint,
    credentials: { accessKeyId: text?.[1] ?? '', secretAccessKey: text?.[2] ?? '' },
  })
  const read = await sdk.send(new GetSecretValueCommand({ SecretId: secretId, VersionStage: 'AWSCURRENT' }))
  expect(JSON.parse(read.SecretString ?? '')).toEqual({
    value: first.value.reveal(),
    generation: 1,
    key_id: 'key-1',
  })
  const described = await sdk.send(new DescribeSecretCommand({ SecretId: secretId }))
  expect(described.Tags).toContainEqual({ Key: 'rekey', Value: 'managed' })
  sdk.destroy()
})

test('shows readers a version without a value where it was withdrawn', async () => {
  const secretId = `layout/${randomUUID()}`
  const client = connect(awsEndpoint)
  const store = secretsManagerStore(client, { secretId })
  await store.stage(value(1), call('r1.stage.s'))
  const first = await store.promote(1, undefined, call('r1.promote.s'))
  const withdrawn = await store.withdraw(1, call('r2.withdraw.s'))
  const seen = await client.get(secretId, { label: 'AWSCURRENT' })
  expect(JSON.parse(seen?.text.reveal() ?? '')).toEqual({ rekey: 'the value was withdrawn' })
  expect(Object.fromEntries((await client.labels(secretId)) ?? [])).toMatchObject({
    [first]: expect.arrayContaining(['AWSPREVIOUS', 'REKEY-1']),
    [withdrawn ?? '']: ['AWSCURRENT'],
  })
})

test('hides a withdrawal that died between its requests, and the repeat of it ends it', async () => {
  const secretId = `layout/${randomUUID()}`
  const client = connect(awsEndpoint)
  const store = secretsManagerStore(client, { secretId })
  await store.stage(value(1), call('r1.stage.s'))
  const first = await store.promote(1, undefined, call('r1.promote.s'))
  const token = withdrawalVersion(secretId, 'r2.withdraw.s')
  await client.put(secretId, { token, text: WITHDRAWN, labels: ['REKEYWITHDRAWING'] })
  expect(await store.list(call('list'))).toEqual([
    { storeVersion: first, labels: ['current'], generation: 1 },
  ])
  expect(await store.withdraw(1, call('r2.withdraw.s'))).toBe(token)
  expect((await client.labels(secretId))?.get(token)).toEqual(['AWSCURRENT'])
})

test('does not let a late stager of an older generation take the pending label', async () => {
  const store = secretsManagerStore(connect(awsEndpoint), { secretId: `layout/${randomUUID()}` })
  await store.stage(value(2), call('r2.stage.s'))
  const late = value(1)
  expect((await safeErrorOf(store.stage(late, call('r1.stage.s')), late.value)).code).toBe('not_allowed_now')
  expect(await store.read(2, call('read'))).toMatchObject({ generation: 2 })
})

test('counts a generation as destroyed from the moment when its id is taken', async () => {
  const secretId = `layout/${randomUUID()}`
  const client = connect(awsEndpoint)
  const store = secretsManagerStore(client, { secretId })
  await store.stage(value(1), call('r1.stage.s'))
  const first = await store.promote(1, undefined, call('r1.promote.s'))
  // As a worker leaves it that dies between the two requests.
  await client.put(secretId, {
    token: generationVersion(secretId, 2),
    text: TOMBSTONE,
    labels: ['REKEYDESTROYED'],
  })
  const check = async () => {
    expect(await store.read(2, call('read'))).toBeUndefined()
    expect(await store.list(call('list'))).toMatchObject([{ generation: 1, labels: ['current'] }])
    expect((await safeErrorOf(store.stage(value(2), call('r2.stage.s')))).code).toBe('value_lost')
    expect((await safeErrorOf(store.promote(2, first, call('r2.promote.s')))).code).toBe('value_lost')
  }
  await check()
  await store.destroy(2, call('r2.destroy.s'))
  expect((await client.labels(secretId))?.has(generationVersion(secretId, 2))).toBe(false)
  await check()
})

test('takes up a new access key from its file, and says which right it lacks without one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rekey-keys-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'credentials')
  await writeFile(
    file,
    '[default]\naws_access_key_id = AKIAREKEYNOBODYNOBOD\naws_secret_access_key = nobody\n',
  )
  const before = connect(awsEndpoint, file)
  expect((await safeErrorOf(before.labels('layout/x'))).code).toBe('permission_denied')
  await cp(rotatorsFile, file)
  expect(await connect(awsEndpoint, file).labels(`layout/${randomUUID()}`)).toBeUndefined()
  const absent = connect(awsEndpoint, join(folder, 'absent'))
  expect((await safeErrorOf(absent.labels('layout/x'))).code).toBe('permission_denied')
})

test('cuts off an answer that drips without end', async () => {
  const dripping = await startHttpServer(drip('application/x-amz-json-1.1'))
  const client = connect(dripping.url)
  const before = performance.now()
  expect((await safeErrorOf(client.labels('layout/x', call('x', 200)))).code).toBe('backend_timeout')
  expect(performance.now() - before).toBeLessThan(1_500)
  client.close()
  await dripping.close()
})
