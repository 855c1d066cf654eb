import type { AppRoleLimits, AppRolePlace } from './secret-ids.ts'

/** Why the secret ids of a role cannot be rotated without a gap, or the end of their use not be seen; undefined: they can. */
export function unfit(
  limits: AppRoleLimits,
  { mount, role }: AppRolePlace,
  tokenMaxMs: number,
): string | undefined {
  const write = (setting: string) => `vault write auth/${mount}/role/${role} ${setting}`
  if (!limits.bindSecretId)
    return `clients of ${role} log in without a secret id: ${write('bind_secret_id=true')}`
  // Nothing replaces them then: Rekey ends a secret id when the next one is in use, and not before.
  if (limits.secretIdTtl > 0) return `secret ids of ${role} end by themselves: ${write('secret_id_ttl=0')}`
  if (limits.secretIdUses > 0)
    return `secret ids of ${role} end after ${limits.secretIdUses} logins: ${write('secret_id_num_uses=0')}`
  const life = tokenLife(limits)
  if (life * 1000 <= tokenMaxMs) return undefined
  const found = life === Infinity ? 'for as long as they are renewed' : `for ${life} s`
  const wanted = `token_period=0 token_max_ttl=${Math.floor(tokenMaxMs / 1000)}s`
  return `tokens of ${role} live ${found}, and tokenMaxMs is ${tokenMaxMs}: ${write(wanted)}, or a longer tokenMaxMs`
}

/** Seconds that a client can go on without another login, as the role says it. The mount can only shorten it. */
function tokenLife({ tokenMaxTtl, tokenExplicitMaxTtl, tokenPeriod }: AppRoleLimits): number {
  const renewed = tokenPeriod > 0 || tokenMaxTtl === 0 ? Infinity : tokenMaxTtl
  return tokenExplicitMaxTtl > 0 ? Math.min(tokenExplicitMaxTtl, renewed) : renewed
}
