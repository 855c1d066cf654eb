import type { StaticRoleFacts } from './static-roles.ts'

/** What of a role it takes to say so. */
export type StaticRoleSeen = Omit<StaticRoleFacts, 'rotatedAt'> & { role: string }

/** Why two static roles cannot take turns; undefined: they can. */
export function unfitStaticPair(
  pair: readonly [StaticRoleSeen, StaticRoleSeen],
  { mount, periodMs }: { mount: string; periodMs: number },
): string | undefined {
  for (const { role, credentialType, rotationPeriod } of pair) {
    const write = `vault write ${mount}/static-roles/${role} rotation_period=${periodMs / 1000}s`
    if (credentialType !== 'password')
      return `the static role ${role} has credentials of the type ${credentialType}: Rekey knows passwords`
    // A schedule goes on, whenever the password was changed last.
    if (rotationPeriod === undefined)
      return `Vault changes the password of ${role} by a schedule, in use or not: make the role anew with a rotation_period, and without a rotation_schedule`
    if (rotationPeriod * 1000 < periodMs)
      return `Vault changes the password of ${role} every ${rotationPeriod} s, and rotationPeriod is ${periodMs / 1000} s: ${write}, or a shorter rotationPeriod`
  }
  const [one, other] = pair
  if (one.username === other.username)
    return `${one.role} and ${other.role} are static roles of one user, ${one.username}: two that take turns need a user each`
  if (one.database !== other.database)
    return `${one.role} is of the connection ${one.database}, and ${other.role} of ${other.database}: both must log in to the same database`
  return undefined
}
