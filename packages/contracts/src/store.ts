import type { Secret } from './secret.ts'

/** One call to the outside. A repeat with the same `key` has the effect of one; `signal` bounds it. */
export type Call = {
  /** Stable for one effect of one rotation: `rotation.step.target`. */
  key: string
  signal: AbortSignal
  /** Of an emergency: it may use what is kept back of a backend's quota, and goes before routine calls. */
  urgent?: boolean
}

/** What a store holds for one generation: always all fields together, and which generation they are. */
export type StoredValue = {
  generation: number
  /** The public id that gateways and logs may show. */
  keyId: string
  value: Secret
}

export type StoreVersion = string

/** The value as read back, and the store's own version of it. */
export type ReadValue = StoredValue & { storeVersion: StoreVersion }

/** What readers get of a secret that somebody else wrote, and the store's own version of it. */
export type LiveValue = { value: Secret; storeVersion: StoreVersion }

/** What readers get, whoever wrote it. `value` is absent where it is nothing that a reader could take for one. */
export type ShownVersion = { value?: Secret; storeVersion?: StoreVersion }

/**
 * One entry of what a store holds for a credential. `generation` is absent for a version that holds none: somebody else
 * wrote it, or it says that the value was withdrawn.
 */
export type ListedVersion = {
  storeVersion: StoreVersion
  labels: ('pending' | 'current' | 'previous')[]
  generation?: number
}

/**
 * Where readers get a credential's value. Bound to one secret by its maker (`vaultKvStore(client, ref)`).
 *
 * Every verb is idempotent per `call.key` and settles an unknown outcome by reading the store, never by a blind
 * second write. All throw `RekeyError` only.
 */
export interface Store {
  readonly kind: string
  /**
   * Holds `value` as pending. Twice with the same value is once. If the store holds another value for this
   * generation already, the stored one wins and is returned: whoever staged first made the generation.
   * A pending version that Rekey did not write is `foreign_writer`. A generation that was destroyed is `value_lost`:
   * it is never staged again, however late a call for it comes.
   */
  stage(value: StoredValue, call: Call): Promise<ReadValue>
  /** The value of one generation, from its staging until it is destroyed, whatever readers get meanwhile. */
  read(generation: number, call: Call): Promise<ReadValue | undefined>
  /** What readers get now, or undefined for a secret that was never promoted, or was withdrawn. */
  readCurrent(call: Call): Promise<ReadValue | undefined>
  /**
   * What readers get of a secret that Rekey did not write, for its adoption; undefined: nothing. What cannot be a value, or
   * was made by another Rekey, is `not_adoptable`; a change that somebody has under way is `foreign_writer`.
   */
  readLive(call: Call): Promise<LiveValue | undefined>
  /**
   * What readers get now, by whoever's hand. Without a version: there is none. What is no value to a reader (deleted,
   * withdrawn, of another form) is a version without a value, and no error.
   */
  readShown(call: Call): Promise<ShownVersion>
  /**
   * Makes the pending value of `generation` current, if current still is `expected` (undefined: nothing is).
   * Already current: returns its version. Current is something else: `foreign_writer`, unless it is a generation of
   * `over`: those were given up or contained, and a late write of one of them may have landed after all.
   */
  promote(
    generation: number,
    expected: StoreVersion | undefined,
    call: Call,
    over?: readonly number[],
  ): Promise<StoreVersion>
  /**
   * Puts an older generation's value back as a NEW store version (never by moving a label back: a late promote
   * would find what it expects). Always writes once per `call.key`, even where current holds that value already.
   */
  restore(value: StoredValue, call: Call): Promise<StoreVersion>
  /**
   * Lets readers find nothing, if they would find `generation` now: as a NEW store version, which is returned and which
   * the next promotion replaces. Undefined: readers do not get this generation, and nothing was written. Writes once
   * per `call.key`, as `restore` does: a repeat returns that version, and leaves alone what readers get since.
   */
  withdraw(generation: number, call: Call): Promise<StoreVersion | undefined>
  /** Ends every copy of a generation: staging copies, versions and labels. Succeeds if it is already gone. */
  destroy(generation: number, call: Call): Promise<void>
  list(call: Call): Promise<ListedVersion[]>
}
