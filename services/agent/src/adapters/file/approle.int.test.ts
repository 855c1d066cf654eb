import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withToken } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { expect, inject, onTestFinished, test } from 'vitest'
import { fileAdapter } from './adapter.ts'

const { vaultAddr, vaultRootToken } = inject('stack')

test('a secret id is tried by a real login as its role', async () => {
  const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
  const dir = await mkdtemp(join(tmpdir(), 'rekey-approle-'))
  const place = { mount: 'workloads', role: `agent-${randomUUID()}` }
  onTestFinished(async () => {
    await root.appRoleDelete(place.role, place)
    await rm(dir, { recursive: true, force: true })
  })
  const settings = { policies: [], tokenTtlSeconds: 60, tokenMaxTtlSeconds: 60, secretIdTtlSeconds: 0 }
  await root.appRoleWrite(place.role, settings, place)
  const roleIdFile = join(dir, 'role-id')
  await writeFile(roleIdFile, `${await root.appRoleId(place.role, place)}\n`)
  const adapter = fileAdapter({
    credential: 'vault',
    kind: 'file',
    path: join(dir, 'secret-id'),
    format: 'value',
    probe: 'approle',
    appRole: { addr: vaultAddr, mount: place.mount, roleIdFile },
  })
  const { accessor, secretId } = await root.secretIdMake(place, { metadata: {}, uses: 0 })
  expect(await adapter.tryValue(secretId)).toBe('accepted')
  await root.secretIdDestroy(place, accessor)
  expect(await adapter.tryValue(secretId)).toBe('refused')
})
