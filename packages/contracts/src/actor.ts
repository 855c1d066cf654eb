/**
 * Whether two names of the journal may be one person's. What counts is the name, and not how somebody came in: `oidc/ana`
 * and `break-glass/ana` are one.
 */
export function isSamePerson(one: string, other: string): boolean {
  const nameOf = (actor: string) => actor.slice(actor.indexOf('/') + 1)
  return nameOf(one) === nameOf(other)
}
