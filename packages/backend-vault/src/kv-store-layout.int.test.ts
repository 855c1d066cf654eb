import { randomUUID } from 'node:crypto'
import { Secret } from '@rekey/contracts'
import { call, plantedSecret, safeErrorOf, startFaultProxy } from '@rekey/testing'
import { expect, inject, test } from 'vitest'
import { withToken } from './client.ts'
import { vaultKvStore } from './kv-store.ts'
import { vaultReader } from './reader.ts'

const { vaultAddr, vaultRootToken } = inject('stack')
const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })

function given() {
  const path = `layout/${randomUUID()}`
  const value = (generation: number) => ({ generation, keyId: `key-${generation}`, value: plantedSecret() })
  return { path, store: vaultKvStore(root, { mount: 'secret', path }), value }
}

test('costs six requests until readers have the new value, and seven to end the old one', async () => {
  const proxy = await startFaultProxy(vaultAddr)
  const { path, value } = given()
  const client = withToken({ addr: proxy.url, token: Secret.of(vaultRootToken) })
  const store = vaultKvStore(client, { mount: 'secret', path })
  await store.stage(value(1), call('r1.stage.s'))
  let current = await store.promote(1, undefined, call('r1.promote.s'))
  // The third finds what the second left.
  for (const generation of [2, 3]) {
    proxy.heal()
    await store.stage(value(generation), call(`r${generation}.stage.s`))
    current = await store.promote(generation, current, call(`r${generation}.promote.s`))
    expect(proxy.count).toBe(6)
    proxy.heal()
    await store.destroy(generation - 1, call(`r${generation}.destroy.s`))
    expect(proxy.count).toBe(7)
  }
  client.close()
  await proxy.close()
})

test('keeps the staging copy until the generation is destroyed, so that agents find it', async () => {
  const { path, store, value } = given()
  const first = value(1)
  await store.stage(first, call('r1.stage.s'))
  const staging = `rekey-staging/${path}/1`
  const data = { value: first.value.reveal(), generation: 1, key_id: 'key-1' }
  expect(await root.kvRead('secret', staging)).toMatchObject({ version: 1, data })
  const version = await store.promote(1, undefined, call('r1.promote.s'))
  expect(await root.kvRead('secret', staging)).toMatchObject({ data })
  expect(await root.kvRead('secret', path)).toMatchObject({ version: 1, data })
  expect((await root.kvMetadata('secret', path))?.customMetadata).toEqual({ rekey_generations: '1=1' })

  await store.stage(value(2), call('r2.stage.s'))
  await store.promote(2, version, call('r2.promote.s'))
  await store.destroy(1, call('r2.destroy.s'))
  expect((await root.kvMetadata('secret', staging))?.versions).toMatchObject([
    { version: 1, destroyed: true },
  ])
  expect((await root.kvMetadata('secret', path))?.versions).toMatchObject([
    { version: 1, destroyed: true },
    { version: 2, destroyed: false },
  ])
})

test('destroys a version that somebody deleted softly, because its bytes could be brought back', async () => {
  const { path, store, value } = given()
  await store.stage(value(1), call('r1.stage.s'))
  const first = await store.promote(1, undefined, call('r1.promote.s'))
  await store.stage(value(2), call('r2.stage.s'))
  await store.promote(2, first, call('r2.promote.s'))
  const deleted = await fetch(`${vaultAddr}/v1/secret/delete/${path}`, {
    method: 'POST',
    headers: { 'X-Vault-Token': vaultRootToken },
    body: JSON.stringify({ versions: [1] }),
  })
  expect(deleted.status).toBe(204)
  await store.destroy(1, call('r2.destroy.s'))
  expect((await root.kvMetadata('secret', path))?.versions[0]).toMatchObject({ version: 1, destroyed: true })
})

test('shows readers a version without a value where it was withdrawn, and agents still the staged one', async () => {
  const { path, store, value } = given()
  const first = value(1)
  await store.stage(first, call('r1.stage.s'))
  await store.promote(1, undefined, call('r1.promote.s'))
  expect(await store.withdraw(1, call('r2.withdraw.s'))).toBe('2')
  const data = { withdrawn: true, generation: 1, call_key: 'r2.withdraw.s' }
  expect(await root.kvRead('secret', path)).toEqual({ version: 2, data })
  const reader = vaultReader(root, { mount: 'secret', path })
  expect(await reader.readCurrent()).toBeUndefined()
  expect((await reader.read(1))?.value.equals(first.value)).toBe(true)
  expect(await reader.read(2)).toBeUndefined()
})

test('keeps other custom metadata of the path', async () => {
  const { path, store, value } = given()
  await root.kvWriteCustomMetadata('secret', path, { owner: 'team-chat' })
  await store.stage(value(1), call('r1.stage.s'))
  await store.promote(1, undefined, call('r1.promote.s'))
  expect((await root.kvMetadata('secret', path))?.customMetadata).toMatchObject({ owner: 'team-chat' })
})

test('does not promote a staging copy that somebody replaced by another generation', async () => {
  const { path, store, value } = given()
  const old = value(1)
  await store.stage(old, call('r1.stage.s'))
  await root.kvWrite('secret', `rekey-staging/${path}/2`, { value: 'x', generation: 1, key_id: 'key-1' })
  const first = await store.promote(1, undefined, call('r1.promote.s'))
  expect((await safeErrorOf(store.promote(2, first, call('r2.promote.s')))).code).toBe('foreign_writer')
})

test('counts a generation as destroyed from the moment when its tombstone is written', async () => {
  const { path, store, value } = given()
  const first = value(1)
  await store.stage(first, call('r1.stage.s'))
  const version = await store.promote(1, undefined, call('r1.promote.s'))
  // As a worker leaves it that dies between the two requests.
  const staging = `rekey-staging/${path}/2`
  await root.kvWrite('secret', staging, { tombstone: true, generation: 2 }, { cas: 0 })
  expect(await store.read(2, call('read'))).toBeUndefined()
  expect((await store.list(call('list'))).map((seen) => seen.generation)).not.toContain(2)
  expect((await safeErrorOf(store.stage(value(2), call('r2.stage.s')))).code).toBe('value_lost')
  expect((await safeErrorOf(store.promote(2, version, call('r2.promote.s')))).code).toBe('value_lost')
  await store.destroy(2, call('r2.destroy.s'))
  expect((await root.kvMetadata('secret', staging))?.versions).toMatchObject([
    { version: 1, destroyed: true },
  ])
})

test('says of a staging copy that somebody deleted softly that it was deleted, not that it was destroyed', async () => {
  const { path, store, value } = given()
  const first = value(1)
  await store.stage(first, call('r1.stage.s'))
  await fetch(`${vaultAddr}/v1/secret/data/rekey-staging/${path}/1`, {
    method: 'DELETE',
    headers: { 'X-Vault-Token': vaultRootToken },
  })
  expect((await safeErrorOf(store.stage(first, call('r1.stage.s')), first.value)).code).toBe('foreign_writer')
  expect(await store.list(call('list'))).toMatchObject([{ generation: 1, labels: ['pending'] }])
})
