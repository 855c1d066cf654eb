import { expect, test } from 'vitest'
import { unfitDatabaseRole } from './unfit-database-role.ts'

const good = {
  defaultTtl: 300,
  maxTtl: 2_592_000,
  revocationStatements: [
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'",
    'DROP ROLE IF EXISTS "{{name}}"',
  ],
}

test.each<[facts: Partial<typeof good>, says: RegExp | undefined]>([
  [{}, undefined],
  [{ defaultTtl: 30 }, undefined],
  [{ defaultTtl: 900 }, undefined],
  // Longer leases are the rule elsewhere: here what was lost would live as long.
  [
    { defaultTtl: 3_600 },
    /lives for 3600 s, .* 30 to 900 s: vault write db\/roles\/rekey-shop default_ttl=5m$/,
  ],
  [{ defaultTtl: 29 }, /default_ttl=5m$/],
  [{ defaultTtl: 0 }, /as long as the mount says/],
  [{ maxTtl: 2_591_999 }, /2591999 s at most, .* max_ttl=2592000s, or a shorter leaseMax$/],
  // As the mount says: seen when the lease is renewed.
  [{ maxTtl: 0 }, undefined],
  [{ revocationStatements: [] }, /sessions of an ended login .* would go on/],
  [{ revocationStatements: ['DROP ROLE "{{name}}"'] }, /pg_terminate_backend/],
])('a role with %j', (facts, says) => {
  const role = { mount: 'db', role: 'rekey-shop' }
  const why = unfitDatabaseRole({ ...good, ...facts }, role, {
    leaseMaxMs: 2_592_000_000,
    pendingMinMs: 30_000,
  })
  if (says) expect(why).toMatch(says)
  else expect(why).toBeUndefined()
})
