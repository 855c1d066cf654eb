/**
 * What the promotions of a rotation (r, of the credential c) shall replace in place of what Rekey wrote last, because somebody
 * said so. Where a promotion has moved a store since, that counts.
 */
export const SETTLED = `(
  select jsonb_object_agg(one ->> 'store', one -> 'seen') from drift d, jsonb_array_elements(d.stores) one
  where d.credential = c.name and d.settled_at is null and d.ordered ->> 'rotation' = r.id
    and c.shown ->> (one ->> 'store') is not distinct from one ->> 'governed')`

/** The version that each store shows, by our last word and by what somebody saw since; without one that shows none. */
export function withSettled(
  shown: Record<string, string>,
  settled: Record<string, string | null> | null,
): Record<string, string> {
  const all = Object.entries({ ...shown, ...settled })
  return Object.fromEntries(all.filter((one): one is [string, string] => one[1] !== null))
}
