import type { AuthoritySpec, InventoryPlace, ListedPlace, StoreSpec } from '@rekey/contracts'

/** A credential as a scan sees it. `expected`: its stores must hold something. */
export type Governed = {
  credential: string
  owner: string
  stores: StoreSpec[]
  expected: boolean
  authority: AuthoritySpec
  /** The public ids of its generations that were not ended. `expected`: the authority must have it. */
  keys: { keyId: string; expected: boolean }[]
}

/** One name that belongs to a credential. */
type Owned = { place: InventoryPlace; name: string; in: string; expected: boolean }

/** Names and dates, and nothing else. */
export type InventoryFound = {
  /** What was looked at. `error`: why it was not all looked at; null: it was. */
  places: { place: string; listed: number; error: string | null }[]
  /** How many names belong to a credential. */
  governed: number
  /** What no credential in the ledger names. */
  ungoverned: { place: string; name: string; changedAt: string | null; owner: 'unknown' }[]
  /** What a credential names, and the backend has not. */
  missing: { place: string; name: string; credential: string; owner: string; store: string }[]
}

/** All places that a credential names, whole. */
export function placesOf(governed: readonly Governed[]): InventoryPlace[] {
  const places = governed.flatMap((one) => [...one.stores.map(placeOfStore), ...placeOfKeys(one.authority)])
  return [...new Map(places.map((place) => [placeName(place), place])).values()]
}

export function compareInventory(
  listed: readonly ListedPlace[],
  governed: readonly Governed[],
): InventoryFound {
  const owned = governed.map((one) => ({ one, names: ownedBy(one) }))
  const known = new Set(owned.flatMap(({ names }) => names.map(({ place, name }) => idOf(place, name))))
  // Places may overlap: each name counts once.
  const seen = new Map<string, { place: string; name: string; changedAt: string | null }>()
  for (const { place, names } of listed)
    for (const { name, changedAt } of names) {
      const id = idOf(place, name)
      if (!seen.has(id)) seen.set(id, { place: placeName(wholeOf(place)), name, changedAt })
    }
  const whole = listed.filter(({ error }) => error === null).map(({ place }) => place)
  const missing = owned.flatMap(({ one: { credential, owner }, names }) =>
    names
      .filter(({ expected, place, name }) => expected && !seen.has(idOf(place, name)))
      .filter(({ place, name }) => whole.some((looked) => covers(looked, place, name)))
      .map(({ place, name, in: store }) => ({ place: placeName(place), name, credential, owner, store })),
  )
  const ungoverned = [...seen].filter(([id]) => !known.has(id)).map(([, one]) => one)
  return {
    places: listed.map(({ place, names, error }) => ({
      place: placeName(place),
      listed: names.length,
      error,
    })),
    governed: seen.size - ungoverned.length,
    ungoverned: ungoverned.map((one) => ({ ...one, owner: 'unknown' as const })),
    missing,
  }
}

function ownedBy({ stores, expected, authority, keys }: Governed): Owned[] {
  const inStores = stores.map((store) => ({
    place: placeOfStore(store),
    name: store.kind === 'vault-kv' ? store.path : store.secretId,
    in: store.name,
    expected,
  }))
  const atAuthority = placeOfKeys(authority).flatMap((place) =>
    keys.map((key) => ({ place, name: key.keyId, in: authority.kind, expected: key.expected })),
  )
  return [...inStores, ...atAuthority]
}

function placeOfStore(store: StoreSpec): InventoryPlace {
  return store.kind === 'vault-kv'
    ? { kind: store.kind, mount: store.mount, prefix: '' }
    : { kind: store.kind, region: store.region, prefix: '' }
}

/** Where an authority lists what it accepts, by names. */
function placeOfKeys(authority: AuthoritySpec): InventoryPlace[] {
  if (authority.kind !== 'aws-iam-access-key') return []
  return [{ kind: authority.kind, user: authority.user, region: authority.region, prefix: '' }]
}

/** As people write it: `vault:secret/team-a`, `aws:eu-central-1/prod/`, `iam:reports`. */
function placeName(place: InventoryPlace): string {
  const prefix = place.prefix === '' ? '' : `/${place.prefix}`
  switch (place.kind) {
    case 'vault-kv':
      return `vault:${place.mount}${prefix}`
    case 'aws-secrets-manager':
      return `aws:${place.region}${prefix}`
    case 'aws-iam-access-key':
      return `iam:${place.user}`
    default:
      return place satisfies never
  }
}

function wholeOf(place: InventoryPlace): InventoryPlace {
  return { ...place, prefix: '' }
}

const idOf = (place: InventoryPlace, name: string) => `${placeName(wholeOf(place))} ${name}`

/** A prefix of Vault is a folder, one of AWS the beginning of a name. */
function covers(looked: InventoryPlace, place: InventoryPlace, name: string): boolean {
  if (placeName(wholeOf(looked)) !== placeName(place)) return false
  const folder = looked.kind === 'vault-kv' && looked.prefix !== '' ? `${looked.prefix}/` : looked.prefix
  return name.startsWith(folder)
}
