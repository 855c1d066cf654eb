import { RekeyError } from '@rekey/contracts'
import { FORMAT, type Rotation, upcast } from '@rekey/core'

/**
 * Releases that are one apart work on one ledger during a rolling upgrade. A stored rotation says in which format it is;
 * absent: the first. What an older release stored is read as if it were ours, and stored as ours at the next change.
 * What a newer release stored is left to its processes: nothing of it is decided, and none of its effects is begun.
 */
export type Stored = { id?: string; format?: number }

export function isNewer(stored: Stored, known = FORMAT): boolean {
  return (stored.format ?? 1) > known
}

export function readState(stored: Stored, known?: number): Rotation {
  if (isNewer(stored, known)) throw newerRelease(stored.id)
  return upcast(stored)
}

export function newerRelease(rotation: string | undefined): RekeyError {
  return new RekeyError('newer_release', `rotation ${rotation} is worked on by a newer release of Rekey`)
}

/** The same in SQL, of a row `r` of rotation; `known` is the parameter with the newest format that the process reads. */
export const isOurs = (known: string) => `coalesce((r.state ->> 'format')::int, 1) <= ${known}`
