import type { CrlSettings, PkiPlace, PkiRole } from './certificates.ts'

/** Why certificates of a role cannot be rotated, or their end not be shown; undefined: they can. */
export function unfitPkiRole(
  { keyType, noStore, generateLease }: PkiRole,
  { disabled }: CrlSettings,
  { mount, role }: PkiPlace,
): string | undefined {
  const write = (setting: string) => `vault write ${mount}/roles/${role} ${setting}`
  if (keyType === 'any')
    return `${role} makes no keys, because its key type is any: ${write('key_type=ec key_bits=256')}`
  if (noStore) return `certificates of ${role} are not kept, and so not revoked: ${write('no_store=false')}`
  // The token is Rekey's, and ends within hours.
  if (generateLease)
    return `certificates of ${role} are revoked with the token that asked for them: ${write('generate_lease=false')}`
  if (disabled)
    return `${mount} makes no CRL, so that no end could be shown: vault write ${mount}/config/crl disable=false`
  return undefined
}
