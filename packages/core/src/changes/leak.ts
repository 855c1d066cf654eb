/** An incoming report that a credential's value was seen where it should not be. */
export type Leak = {
  type: 'credential.leaked'
  /** Its name; where the reporter does not know it, its own name for what it found, which is no credential's. */
  credential: string
  /** Which value. Absent: the reporter does not know. */
  generation?: number
  /** What the ledger knows the value by. It says which value it is, whatever name and generation say. */
  fingerprint?: string
  /** Where it was seen, in the reporter's words. */
  where: string
  /** When, by the reporter's clock, milliseconds since the epoch. Absent: now. */
  at?: number
}

/** What the inventory knows of a credential. */
export type KnownCredential = {
  current: number | null
  /** The highest generation that there ever was. */
  last: number
  /** When the stores last moved; null: never. */
  movedAt: number | null
  isRetired: boolean
  isRotating: boolean
}

export type LeakJudgement =
  | { kind: 'unknown-credential'; reason: string }
  /** Whatever it is about is dead already. */
  | { kind: 'no-change'; reason: string }
  /** `compromised`: as a cause wants it; empty: the one in use, where that is clear. */
  | { kind: 'leaked'; compromised: number[] }

/**
 * Does a report ask for anything? Scanners find the same string again and again, also long after its death: a report
 * about a dead value changes nothing. One that names no generation is about what was in use when it was seen.
 */
export function judgeLeak(known: KnownCredential | undefined, leak: Leak): LeakJudgement {
  const { credential, generation, at } = leak
  if (!known) return { kind: 'unknown-credential', reason: `no credential named ${credential} is configured` }
  const { current, last, movedAt, isRetired, isRotating } = known
  if (generation !== undefined && generation > last)
    return { kind: 'unknown-credential', reason: `${credential} never had a generation ${generation}` }
  // What is not dead yet is being ended by the rotation under way, which knows what may join it.
  if (isRotating) return { kind: 'leaked', compromised: generation === undefined ? [] : [generation] }
  const dead = (reason: string): LeakJudgement => ({ kind: 'no-change', reason })
  if (isRetired) return dead(`${credential} was offboarded: its values are dead`)
  if (current === null) return dead(`${credential} has no value in use`)
  if (generation !== undefined && generation !== current)
    return dead(`generation ${generation} of ${credential} is dead already; ${current} is in use`)
  if (generation === undefined && at !== undefined && movedAt !== null && at < movedAt)
    return dead(`it was seen before generation ${current} of ${credential} was in use; what was then is dead`)
  return { kind: 'leaked', compromised: [current] }
}
