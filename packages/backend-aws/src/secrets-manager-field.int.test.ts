import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { Secret } from '@rekey/contracts'
import { call, plantedSecret, safeErrorOf } from '@rekey/testing'
import { expect, inject, test } from 'vitest'
import { connectSecretsManager } from './client.ts'
import { clientOptions } from './connection.ts'
import { secretsManagerStore } from './secrets-manager-store.ts'

const { awsEndpoint, awsRegion, identitiesDir } = inject('stack')
const connection = {
  region: awsRegion,
  endpoint: awsEndpoint,
  credentialsFile: join(identitiesDir, 'rotator', 'aws-credentials'),
}
const client = connectSecretsManager(connection)

const next = (generation: number) => ({ generation, keyId: `key-${generation}`, value: plantedSecret() })

/** As AWS's own templates write a login. */
async function givenLogin() {
  const secretId = `field/${randomUUID()}`
  const password = plantedSecret()
  const beside = { engine: 'postgres', host: 'db.example.org', username: 'shop' }
  await client.create(
    secretId,
    randomUUID(),
    Secret.of(JSON.stringify({ ...beside, password: password.reveal() })),
  )
  const store = secretsManagerStore(client, { secretId, field: 'password' })
  const read = async () => {
    const found = await client.get(secretId, { label: 'AWSCURRENT' })
    return JSON.parse(found?.text.reveal() ?? 'null')
  }
  return { secretId, store, password, beside, read }
}

test('replaces the field that readers know, and leaves the others as they are, through every verb', async () => {
  const { store, password, beside, read } = await givenLogin()
  const live = await store.readLive(call('live'))
  expect(live?.value.equals(password)).toBe(true)
  const first = { ...next(1), value: password }
  await store.stage(first, call('r1.stage.s'))
  expect(await read()).toEqual({ ...beside, password: password.reveal() })
  const one = await store.promote(1, live?.storeVersion, call('r1.promote.s'))
  expect(await read()).toEqual({
    ...beside,
    password: password.reveal(),
    generation: 1,
    key_id: 'key-1',
  })

  const second = next(2)
  await store.stage(second, call('r2.stage.s'))
  await store.promote(2, one, call('r2.promote.s'))
  expect(await read()).toMatchObject({ ...beside, password: second.value.reveal(), generation: 2 })
  expect((await store.readCurrent(call('read')))?.value.equals(second.value)).toBe(true)

  expect(await store.withdraw(2, call('r3.withdraw.s'))).toBeDefined()
  expect(await read()).toEqual({ ...beside, rekey: 'the value was withdrawn' })
  expect(await store.readCurrent(call('read'))).toBeUndefined()

  await store.restore(first, call('r4.restore.s'))
  expect(await read()).toMatchObject({ ...beside, password: password.reveal(), generation: 1 })
  await store.destroy(2, call('r4.destroy.s'))
  expect(await store.read(2, call('read'))).toBeUndefined()
})

test('stages once what two workers stage at the same time', async () => {
  const { store, password } = await givenLogin()
  const value = { ...next(1), value: password }
  const staged = await Promise.all([1, 2, 3].map(() => store.stage(value, call('r1.stage.s'))))
  expect(new Set(staged.map(({ storeVersion }) => storeVersion)).size).toBe(1)
})

test('does not take for somebody’s change what AWS’s own rotation leaves behind', async () => {
  const secretId = `field/${randomUUID()}`
  await client.create(secretId, randomUUID(), Secret.of('{"value":"planted-before"}'))
  const value = plantedSecret()
  await client.put(secretId, {
    token: randomUUID(),
    text: Secret.of(JSON.stringify({ value: value.reveal() })),
    labels: ['AWSCURRENT', 'AWSPENDING'],
  })
  const store = secretsManagerStore(client, { secretId })
  const live = await store.readLive(call('live'))
  await store.stage({ ...next(1), value }, call('r1.stage.s'))
  await store.promote(1, live?.storeVersion, call('r1.promote.s'))
  expect((await store.readCurrent(call('read')))?.value.equals(value)).toBe(true)
})

test.each<[string, string, string | undefined, RegExp]>([
  ['is a plain text', 'planted-v', undefined, /no JSON object: Rekey writes \{"value": …\}/],
  ['is broken JSON', '{"password":"planted-v"', 'password', /no JSON object/],
  ['is a list', '["planted-v"]', undefined, /no JSON object/],
  [
    'has other fields, and nobody says so',
    '{"value":"planted-v","username":"u"}',
    undefined,
    /say "field: value"/,
  ],
  ['has no such field', '{"username":"u"}', 'password', /no field password/],
  ['has an empty field', '{"password":""}', 'password', /empty/],
])('says what is wrong, and changes nothing, where a live secret %s', async (_, text, field, why) => {
  const secretId = `field/${randomUUID()}`
  await client.create(secretId, randomUUID(), Secret.of(text))
  const before = await client.labels(secretId)
  const store = secretsManagerStore(client, { secretId, ...(field && { field }) })
  const error = await safeErrorOf(store.readLive(call('live')), Secret.of('planted-v'))
  expect(error.code).toBe('not_adoptable')
  expect(error.message).toMatch(why)
  expect(error.message).not.toContain('planted')
  expect(await client.labels(secretId)).toEqual(before)
})

test('says that a binary secret is none of its kind', async () => {
  const secretId = `field/${randomUUID()}`
  const sdk = new SecretsManagerClient(clientOptions(connection))
  await sdk.send(new CreateSecretCommand({ Name: secretId, SecretBinary: Buffer.from('planted-v') }))
  const store = secretsManagerStore(client, { secretId })
  const error = await safeErrorOf(store.readLive(call('live')), Secret.of('planted-v'))
  expect(error).toMatchObject({ code: 'not_adoptable', message: expect.stringContaining('binary') })
})
