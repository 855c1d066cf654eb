import { expect, test } from 'vitest'
import { unfit } from './unfit-role.ts'

const good = {
  bindSecretId: true,
  secretIdTtl: 0,
  secretIdUses: 0,
  tokenMaxTtl: 3_600,
  tokenExplicitMaxTtl: 0,
  tokenPeriod: 0,
}

test.each<[limits: Partial<typeof good>, says: RegExp | undefined]>([
  [{}, undefined],
  [{ tokenMaxTtl: 60 }, undefined],
  [{ bindSecretId: false }, /write auth\/workloads\/role\/shop bind_secret_id=true$/],
  [{ secretIdTtl: 86_400 }, /secret_id_ttl=0$/],
  [{ secretIdUses: 10 }, /end after 10 logins: .* secret_id_num_uses=0$/],
  [{ tokenMaxTtl: 3_601 }, /live for 3601 s, .* token_period=0 token_max_ttl=3600s/],
  // No limit of the role's own is the mount's, which is a month by default.
  [{ tokenMaxTtl: 0 }, /for as long as they are renewed/],
  [{ tokenPeriod: 60 }, /for as long as they are renewed/],
  [{ tokenPeriod: 60, tokenExplicitMaxTtl: 3_600 }, undefined],
  [{ tokenMaxTtl: 0, tokenExplicitMaxTtl: 7_200 }, /live for 7200 s/],
])('a role with %j', (limits, says) => {
  const why = unfit({ ...good, ...limits }, { mount: 'workloads', role: 'shop' }, 3_600_000)
  if (says) expect(why).toMatch(says)
  else expect(why).toBeUndefined()
})
