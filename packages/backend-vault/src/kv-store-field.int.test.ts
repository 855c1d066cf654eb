import { randomUUID } from 'node:crypto'
import { Secret } from '@rekey/contracts'
import { call, plantedSecret, safeErrorOf } from '@rekey/testing'
import { expect, inject, test } from 'vitest'
import { withToken } from './client.ts'
import { vaultKvStore } from './kv-store.ts'
import { vaultReader } from './reader.ts'

const { vaultAddr, vaultRootToken } = inject('stack')
const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })

/** A login as people write it, of which one field is replaced. */
async function givenLogin() {
  const path = `field/${randomUUID()}`
  const store = vaultKvStore(root, { mount: 'secret', path, field: 'password' })
  const password = plantedSecret()
  const beside = { username: 'shop', url: 'https://example.org/', port: 5432 }
  await root.kvWrite('secret', path, { ...beside, password: password.reveal() })
  return { path, store, password, beside, read: () => root.kvRead('secret', path) }
}
const next = (generation: number) => ({ generation, keyId: `key-${generation}`, value: plantedSecret() })

test('replaces the field that readers know, and leaves the others as they are, through every verb', async () => {
  const { store, password, beside, read } = await givenLogin()
  const live = await store.readLive(call('live'))
  expect(live?.value.equals(password)).toBe(true)
  const first = { ...next(1), value: password }
  await store.stage(first, call('r1.stage.s'))
  const one = await store.promote(1, live?.storeVersion, call('r1.promote.s'))
  expect((await read())?.data).toMatchObject({ ...beside, password: password.reveal(), generation: 1 })

  const second = next(2)
  await store.stage(second, call('r2.stage.s'))
  await store.promote(2, one, call('r2.promote.s'))
  expect((await read())?.data).toMatchObject({ ...beside, password: second.value.reveal(), generation: 2 })
  expect((await store.readCurrent(call('read')))?.value.equals(second.value)).toBe(true)

  expect(await store.withdraw(2, call('r3.withdraw.s'))).toBeDefined()
  expect((await read())?.data).toEqual({
    ...beside,
    withdrawn: true,
    generation: 2,
    call_key: expect.anything(),
  })
  expect(await store.readCurrent(call('read'))).toBeUndefined()

  await store.restore(first, call('r4.restore.s'))
  expect((await read())?.data).toMatchObject({ ...beside, password: password.reveal(), generation: 1 })
  expect((await read())?.data).not.toHaveProperty('withdrawn')
  await store.destroy(2, call('r4.destroy.s'))
  expect(await store.list(call('list'))).toContainEqual(
    expect.objectContaining({ generation: 1, labels: ['current'] }),
  )
})

test('keeps the others where somebody deleted the version that is current', async () => {
  const { path, store, password, beside, read } = await givenLogin()
  const live = await store.readLive(call('live'))
  await store.stage({ ...next(1), value: password }, call('r1.stage.s'))
  const one = await store.promote(1, live?.storeVersion, call('r1.promote.s'))
  const deleted = await fetch(`${vaultAddr}/v1/secret/data/${path}`, {
    method: 'DELETE',
    headers: { 'x-vault-token': vaultRootToken },
  })
  expect(deleted.status).toBe(204)
  const second = next(2)
  await store.stage(second, call('r2.stage.s'))
  await store.promote(2, one, call('r2.promote.s'))
  expect((await read())?.data).toMatchObject({ ...beside, password: second.value.reveal(), generation: 2 })
})

test('keeps its own names in staging copies, from which agents read', async () => {
  const { path, store, password } = await givenLogin()
  const live = await store.readLive(call('live'))
  await store.stage({ ...next(1), value: password }, call('r1.stage.s'))
  const staged = await root.kvRead('secret', `rekey-staging/${path}/1`)
  expect(staged?.data).toMatchObject({ value: password.reveal(), generation: 1, key_id: 'key-1' })
  expect(staged?.data).not.toHaveProperty('username')

  // Where somebody removed the copy, agents find the value where everybody does.
  await store.promote(1, live?.storeVersion, call('r1.promote.s'))
  await root.kvDeleteMetadata('secret', `rekey-staging/${path}/1`)
  const agents = vaultReader(root, { mount: 'secret', path, field: 'password' })
  expect((await agents.read(1))?.value.equals(password)).toBe(true)
})

test.each<[string, Record<string, unknown>, string | undefined, RegExp]>([
  [
    'has other fields, and nobody says so',
    { value: 'planted-v', username: 'u' },
    undefined,
    /say "field: value"/,
  ],
  ['has no such field', { username: 'u', secret: 'planted-v' }, 'password', /no field password/],
  ['holds no text', { password: { is: 'planted-v' } }, 'password', /no text/],
  ['is empty', { password: '' }, 'password', /empty/],
  ['is too large', { password: 'planted-'.repeat(8_193) }, 'password', /64 KiB/],
])('says what is wrong, and changes nothing, where a live secret %s', async (_, data, field, why) => {
  const path = `field/${randomUUID()}`
  await root.kvWrite('secret', path, data)
  const store = vaultKvStore(root, { mount: 'secret', path, ...(field && { field }) })
  const error = await safeErrorOf(store.readLive(call('live')), Secret.of('planted-v'))
  expect(error.code).toBe('not_adoptable')
  expect(error.message).toMatch(why)
  expect(error.message).not.toContain('planted')
  expect(await root.kvRead('secret', path)).toEqual({ version: 1, data })
})
