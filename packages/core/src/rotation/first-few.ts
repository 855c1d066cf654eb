/** How many are named. */
const NAMED = 3

/** The first of them in words for people, and how many there are beside. */
export function firstFew(all: string[]): string {
  const more = all.length > NAMED ? ` and ${all.length - NAMED} more` : ''
  return `${all.slice(0, NAMED).join(', ')}${more}`
}
