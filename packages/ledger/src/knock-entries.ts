/** What is known of the requests with one dead generation from one address. Times in milliseconds since the epoch. */
export type Knocker = {
  generation: number
  address: string
  requests: number
  nodes: string[]
  firstAt: number
  lastAt: number
  /** How many of them the journal has; `at`: when it was told last. Null: never. */
  told: { requests: number; at: number } | null
}

/** Of one generation: what was not told one by one. */
export type Rest = {
  generation: number
  /** The latest request from an address that is beyond those that are listed; null: there is none. */
  unlistedAt: number | null
  told: { at: number } | null
}

/** What is to be journalled now. `knockers` is one, but for what is told as a sum. */
export type Telling = {
  generation: number
  knockers: Knocker[]
  isSum: boolean
  /** As in `Rest`, where that is news. */
  unlistedAt: number | null
}

export const KNOCK_LIMITS = { everyMs: 3_600_000, entries: 20 }

/**
 * Bounds what knocks write into the journal, however many come from however many addresses. The first from an address is
 * told at once, and further ones as a count, at most once an hour. Of one credential not more than `entries` are told one
 * by one in an hour; what is beyond that, or not even listed, is one sum an hour for each dead generation.
 */
export function toTell(
  { knockers, rests }: { knockers: Knocker[]; rests: Rest[] },
  now: number,
  { everyMs, entries } = KNOCK_LIMITS,
): Telling[] {
  const isLately = (told: { at: number } | null) => told !== null && now - told.at < everyMs
  const due = knockers
    .filter((k) => k.requests > (k.told?.requests ?? 0) && !isLately(k.told))
    .toSorted((a, b) => a.firstAt - b.firstAt)
  const free = Math.max(0, entries - knockers.filter((k) => isLately(k.told)).length)
  const singles = due
    .slice(0, free)
    .map((k): Telling => ({ generation: k.generation, knockers: [k], isSum: false, unlistedAt: null }))
  const sums = rests.flatMap((rest): Telling[] => {
    const left = due.slice(free).filter((k) => k.generation === rest.generation)
    const isNews = rest.unlistedAt !== null && rest.unlistedAt > (rest.told?.at ?? 0)
    if ((left.length === 0 && !isNews) || isLately(rest.told)) return []
    const unlistedAt = isNews ? rest.unlistedAt : null
    return [{ generation: rest.generation, knockers: left, isSum: true, unlistedAt }]
  })
  return [...singles, ...sums]
}
