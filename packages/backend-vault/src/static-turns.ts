/** The name of a password: whose it is, and when Vault made it. */
export const nameOf = (role: string, rotatedAt: string): string => `${role}/${rotatedAt}`

export const roleIn = (name: string): string => name.slice(0, name.indexOf('/'))

export type Turns = {
  roles: readonly string[]
  /** The names of the passwords that were kept, by generation. */
  keyIds: Readonly<Record<number, string>>
}

/** Other generations that are still what a role shows. */
export function liveBeside(
  generation: number,
  shown: readonly string[],
  { keyIds }: Turns,
): [string, string][] {
  return Object.entries(keyIds).filter(([of, name]) => of !== `${generation}` && shown.includes(name))
}

/**
 * The roles whose password the next generation may get: those that no other live generation has. Where neither is live, first
 * the one that the latest had not: who has missed its end is still logged in as that.
 */
export function idleRoles(generation: number, shown: readonly string[], turns: Turns): string[] {
  const taken = liveBeside(generation, shown, turns).map(([, name]) => roleIn(name))
  const free = turns.roles.filter((role) => !taken.includes(role))
  const others = Object.keys(turns.keyIds).filter((of) => of !== `${generation}`)
  const latest = turns.keyIds[Math.max(...others.map(Number))]
  const isLatest = (role: string) => latest !== undefined && role === roleIn(latest)
  return free.toSorted((a, b) => Number(isLatest(a)) - Number(isLatest(b)))
}

/** Once a later generation has the role, its sessions are that one's. */
export function isLastOf(generation: number, { keyIds }: Turns): boolean {
  const name = keyIds[generation]
  if (name === undefined) return false
  const later = Object.entries(keyIds).filter(([of]) => Number(of) > generation)
  return !later.some(([, other]) => roleIn(other) === roleIn(name))
}
