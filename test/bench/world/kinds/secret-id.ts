import { randomUUID } from 'node:crypto'
import { anonymousVault, appRoleSecretId } from '@rekey/backend-vault'
import type { Secret } from '@rekey/contracts'
import { type AwsPlace, rootOf, vaultOf } from '../aws-place.ts'
import { type Kind, replacing } from './kind.ts'

export async function secretId(place: AwsPlace): Promise<Kind> {
  const { addr } = place.stack.vault
  const root = rootOf(place)
  const mount = 'workloads'
  const settings = { policies: [], tokenTtlSeconds: 60, tokenMaxTtlSeconds: 600, secretIdTtlSeconds: 0 }
  const roles = [1, 2].map(() => ({ mount, role: `bench-${randomUUID()}` }))
  for (const { role } of roles) await root.appRoleWrite(role, settings, { mount })
  const [own, theirs] = roles as [(typeof roles)[number], (typeof roles)[number]]
  const rotator = vaultOf(place, addr)
  const keyIds: Record<number, string> = {}
  const authority = appRoleSecretId(
    rotator,
    { ...own, tokenMaxMs: 600_000, endTokens: false },
    { credential: `bench-${randomUUID()}`, keyIds },
  )
  const roleId = await root.appRoleId(theirs.role, { mount })
  const anonymous = anonymousVault({ addr })
  const login = (id: Secret) => anonymous.tryLogin({ mount, roleId, secretId: id })
  let old: { accessor: string; secretId: Secret } | undefined
  return {
    kind: 'vault-approle-secret-id',
    ours: replacing(authority, keyIds),
    async bare() {
      const made = await root.secretIdMake(theirs, { metadata: {}, uses: 0 })
      const seen = [await login(made.secretId)]
      if (old) {
        await root.secretIdDestroy(theirs, old.accessor)
        seen.push(await login(old.secretId))
      }
      if (seen.join() !== (old ? 'accepted,refused' : 'accepted'))
        throw new Error(`bench-0005: a login showed ${seen.join()}`)
      old = made
    },
    async close() {
      for (const { role } of roles) await root.appRoleDelete(role, { mount })
      rotator.close()
      root.close()
    },
  }
}
