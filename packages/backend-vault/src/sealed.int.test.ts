import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { type Stack, startStack } from '@rekey/local'
import { call, plantedSecret, safeErrorOf } from '@rekey/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type VaultClient, withToken } from './client.ts'
import { vaultKvStore } from './kv-store.ts'

/** A server of its own: nobody else's is sealed. */
let stack: Stack
let vault: VaultClient
beforeAll(async () => {
  stack = await startStack({ only: ['vault'], own: true })
  await tell('sys/mounts/secret', { type: 'kv', options: { version: '2' } })
  vault = withToken({ addr: stack.vault.addr, token: Secret.of(await rootToken()) })
})
afterAll(async () => {
  vault?.close()
  await stack?.stop()
})

const rootToken = async () => (await readFile(stack.vault.rootTokenFile, 'utf8')).trim()

async function tell(path: string, body: object = {}): Promise<void> {
  const answer = await fetch(`${stack.vault.addr}/v1/${path}`, {
    method: 'PUT',
    headers: { 'X-Vault-Token': await rootToken() },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
}

test('a sealed Vault is said to be sealed, in every verb; when it is unsealed, nothing is half-done', async () => {
  const store = vaultKvStore(vault, { mount: 'secret', path: 'app/key' })
  const value = (generation: number) => ({ generation, keyId: `key-${generation}`, value: plantedSecret() })
  const [first, second] = [value(1), value(2)]
  await store.stage(first, call('g1.stage'))
  const shown = await store.promote(1, undefined, call('g1.promote'))
  await store.stage(second, call('g2.stage'))

  await tell('sys/seal')
  const verbs: [string, () => Promise<unknown>][] = [
    ['stage', () => store.stage(value(3), call('g3.stage'))],
    ['promote', () => store.promote(2, shown, call('g2.promote'))],
    ['destroy', () => store.destroy(1, call('g1.destroy'))],
    ['restore', () => store.restore(first, call('g1.restore'))],
    ['read', () => store.readCurrent(call('read'))],
    ['list', () => store.list(call('list'))],
  ]
  for (const [verb, run] of verbs) {
    const error = await safeErrorOf(run(), first.value, second.value)
    expect({ verb, code: error.code, retryable: error.retryable }).toEqual({
      verb,
      code: 'sealed',
      retryable: true,
    })
    expect(error.message).toContain('Vault is sealed')
  }

  const key = await readFile(join(stack.dir, 'admin', 'vault-unseal-key'), 'utf8')
  await tell('sys/unseal', { key })
  // One that has no leader yet is away, not wrong.
  const look = () =>
    store.readCurrent(call('read')).then(
      (read) => read?.generation,
      (error: { code?: string }) => error.code,
    )
  await expect
    .poll(
      async () => {
        const seen = await look()
        expect([1, 'sealed', 'backend_unavailable']).toContain(seen)
        return seen
      },
      { timeout: 30_000 },
    )
    .toBe(1)
  const held = (await store.list(call('list'))).map(({ generation }) => generation)
  expect(new Set(held)).toEqual(new Set([1, 2]))
  await store.promote(2, shown, call('g2.promote'))
  await store.destroy(1, call('g1.destroy'))
  expect((await store.readCurrent(call('read')))?.value.equals(second.value)).toBe(true)
})
