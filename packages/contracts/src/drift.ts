/**
 * What a look saw of one store: what readers get there, by whoever's hand, or why that could not be told. The value itself
 * is not kept; `fingerprint` is null where there is none, or none could be made.
 */
export type SeenStore = { store: string } & (
  | { storeVersion: string | null; hasValue: boolean; fingerprint: string | null }
  | { error: string }
)
