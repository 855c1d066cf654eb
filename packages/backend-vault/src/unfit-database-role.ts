import type { DatabaseRoleFacts, DatabaseRolePlace } from './database.ts'

/** The longest that what nobody could keep may live. */
export const PENDING_MAX_MS = 900_000

/** Why logins of a role cannot be rotated without a gap, or not be ended; undefined: they can. */
export function unfitDatabaseRole(
  { defaultTtl, maxTtl, revocationStatements }: DatabaseRoleFacts,
  { mount, role }: DatabaseRolePlace,
  { leaseMaxMs, pendingMinMs }: { leaseMaxMs: number; pendingMinMs: number },
): string | undefined {
  const write = (setting: string) => `vault write ${mount}/roles/${role} ${setting}`
  const [least, most] = [Math.ceil(pendingMinMs / 1000), PENDING_MAX_MS / 1000]
  // Until a store has it: longer than an attempt may act, and not so long that what was lost would stay.
  if (defaultTtl * 1000 < pendingMinMs || defaultTtl * 1000 > PENDING_MAX_MS)
    return `a login of ${role} that nobody renews lives for ${defaultTtl === 0 ? 'as long as the mount says' : `${defaultTtl} s`}, and it should be ${least} to ${most} s: ${write('default_ttl=5m')}`
  if (maxTtl * 1000 < leaseMaxMs && maxTtl !== 0)
    return `a login of ${role} lives for ${maxTtl} s at most, and leaseMax is ${leaseMaxMs / 1000} s: ${write(`max_ttl=${leaseMaxMs / 1000}s`)}, or a shorter leaseMax`
  // DROP ROLE alone leaves them open, and nobody can tell any more whose they were.
  if (!revocationStatements.some((sql) => /pg_terminate_backend/i.test(sql)))
    return `sessions of an ended login of ${role} would go on: let revocation_statements end them by pg_terminate_backend, as docs/guides/vault-database.md has it`
  return undefined
}
