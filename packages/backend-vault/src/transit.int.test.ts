import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from '@rekey/contracts'
import { safeErrorOf } from '@rekey/testing'
import { expect, inject, test } from 'vitest'
import { connectVault } from './client.ts'
import { vaultFingerprints } from './transit.ts'

const { vaultAddr, identitiesDir } = inject('stack')
const as = (service: string) =>
  connectVault({
    addr: vaultAddr,
    roleId: readFileSync(join(identitiesDir, service, 'vault-role-id'), 'utf8').trim(),
    secretIdFile: join(identitiesDir, service, 'vault-secret-id'),
  })

test('who makes values and who looks them up get the same fingerprints, in order', async () => {
  const digests = Array.from({ length: 1_201 }, (_, i) => digestOf(`value ${i}`))
  const made = await vaultFingerprints(as('rotator')).of(digests)
  expect(new Set(made).size).toBe(digests.length)
  expect(made.every((text) => /^vault:v1:[A-Za-z0-9+/=]{44}$/.test(text))).toBe(true)
  const [last] = await vaultFingerprints(as('control')).of([digests[1_200] ?? ''])
  expect(last).toBe(made[1_200])
})

test('nobody else makes any, and nobody makes any with a key that is not there', async () => {
  expect((await safeErrorOf(vaultFingerprints(as('fleet')).of([digestOf('x')]))).code).toBe(
    'permission_denied',
  )
  const other = vaultFingerprints(as('control'), 'another-key')
  expect((await safeErrorOf(other.of([digestOf('x')]))).code).toBe('permission_denied')
})

test('control reads no value', async () => {
  const vault = as('control')
  expect((await safeErrorOf(vault.kvRead('secret', 'any/thing'))).code).toBe('permission_denied')
})
