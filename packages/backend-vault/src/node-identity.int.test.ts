import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { call, plantedSecret, safeErrorOf } from '@rekey/testing'
import { expect, inject, test } from 'vitest'
import { anonymousVault, connectVault, withToken } from './client.ts'
import { vaultKvStore } from './kv-store.ts'
import { allowNodeReads, enrolNodeIdentity, type NodeIdentity, retireNodeIdentity } from './node-identity.ts'
import { vaultReader } from './reader.ts'

const { vaultAddr, vaultRootToken, identitiesDir } = inject('stack')
const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
const fleet = connectVault({
  addr: vaultAddr,
  roleId: readFileSync(join(identitiesDir, 'fleet', 'vault-role-id'), 'utf8').trim(),
  secretIdFile: join(identitiesDir, 'fleet', 'vault-secret-id'),
})
const anonymous = anonymousVault({ addr: vaultAddr })

async function asNode({ roleId, wrappedSecretId }: NodeIdentity) {
  return connectVault({ addr: vaultAddr, roleId, secretId: await anonymous.unwrapSecretId(wrappedSecretId) })
}

async function stagedCredential() {
  const place = { mount: 'secret', path: `node/${randomUUID()}` }
  const store = vaultKvStore(root, place)
  const value = { generation: 1, keyId: 'key-1', value: plantedSecret() }
  await store.stage(value, call('r1.stage.s'))
  return { place, store, value }
}

const nodeName = () => `gpu-${randomUUID()}`

test('lets a node read every live generation of its own credentials, and nothing else', async () => {
  const { place, store, value } = await stagedCredential()
  const other = await stagedCredential()
  const node = await asNode(await enrolNodeIdentity(fleet, { node: nodeName(), reads: [place] }))
  const reader = vaultReader(node, place)

  expect((await reader.read(1))?.value.equals(value.value)).toBe(true)
  expect(await reader.readCurrent()).toBeUndefined()
  await store.promote(1, undefined, call('r1.promote.s'))
  expect(await reader.readCurrent()).toMatchObject({ generation: 1, keyId: 'key-1', storeVersion: '1' })
  expect(await reader.read(2)).toBeUndefined()

  expect((await safeErrorOf(vaultReader(node, other.place).read(1))).code).toBe('permission_denied')
  expect((await safeErrorOf(node.kvWrite(place.mount, place.path, { value: 'x' }))).code).toBe(
    'permission_denied',
  )
  expect((await safeErrorOf(node.kvDeleteMetadata(place.mount, place.path))).code).toBe('permission_denied')
})

test('is safe to repeat, and each secret id works', async () => {
  const { place } = await stagedCredential()
  const node = nodeName()
  const first = await enrolNodeIdentity(fleet, { node, reads: [place] })
  const second = await enrolNodeIdentity(fleet, { node, reads: [place] })
  expect(second.roleId).toBe(first.roleId)
  for (const identity of [first, second]) {
    expect(await vaultReader(await asNode(identity), place).read(1)).toMatchObject({ generation: 1 })
  }
})

test('shows a theft of the wrapped secret id, because it opens only once', async () => {
  const identity = await enrolNodeIdentity(fleet, { node: nodeName(), reads: [] })
  await anonymous.unwrapSecretId(identity.wrappedSecretId)
  const error = await safeErrorOf(
    anonymous.unwrapSecretId(identity.wrappedSecretId),
    identity.wrappedSecretId,
  )
  expect(error).toMatchObject({ code: 'permission_denied', message: expect.stringContaining('used before') })
})

test('changes what a node may read at once, without a new login', async () => {
  const { place } = await stagedCredential()
  const node = nodeName()
  const client = await asNode(await enrolNodeIdentity(fleet, { node, reads: [] }))
  const reader = vaultReader(client, place)
  expect((await safeErrorOf(reader.read(1))).code).toBe('permission_denied')
  await allowNodeReads(fleet, { node, reads: [place] })
  expect(await reader.read(1)).toMatchObject({ generation: 1 })
  await allowNodeReads(fleet, { node, reads: [] })
  expect((await safeErrorOf(reader.read(1))).code).toBe('permission_denied')
})

test('takes the rights from a retired node, tokens that it holds included', async () => {
  const { place } = await stagedCredential()
  const node = nodeName()
  const identity = await enrolNodeIdentity(fleet, { node, reads: [place] })
  const client = await asNode(identity)
  await client.lookupSelf()
  await retireNodeIdentity(fleet, { node })
  await retireNodeIdentity(fleet, { node })
  expect((await safeErrorOf(vaultReader(client, place).read(1))).code).toBe('permission_denied')
})

test('ends the secret ids of a former life of a node, which have no place in the next', async () => {
  const { place } = await stagedCredential()
  const node = nodeName()
  await retireNodeIdentity(fleet, { node })
  const { roleId, wrappedSecretId } = await enrolNodeIdentity(fleet, { node, reads: [place] })
  const secretId = await anonymous.unwrapSecretId(wrappedSecretId)
  await retireNodeIdentity(fleet, { node })
  const next = await enrolNodeIdentity(fleet, { node, reads: [place] })
  for (const role of [roleId, next.roleId]) {
    const old = connectVault({ addr: vaultAddr, roleId: role, secretId })
    expect((await safeErrorOf(old.lookupSelf())).code).toBe('permission_denied')
  }
  expect(await vaultReader(await asNode(next), place).read(1)).toMatchObject({ generation: 1 })
})

test('refuses a node name that would be another path', async () => {
  for (const node of ['../x', 'A', '', 'a/b', 'x*']) {
    expect((await safeErrorOf(enrolNodeIdentity(fleet, { node, reads: [] }))).code).toBe(
      'invalid_configuration',
    )
  }
})
