import { createHash } from 'node:crypto'

/**
 * The mark of a user: what it is to Rekey, kept in the user itself. To Redis it is one more password, as 64 hex digits of a
 * SHA-256; but it is a text of ours, and nobody can find a password that has it as its digest. So it lets nobody in, lives and dies
 * with the passwords beside it, and is saved in the same line of the ACL file.
 *
 * It is also what makes a change safe. `ACL SETUSER` does all of its rules or none, and `!<mark>` fails where the user has that mark
 * no more: each change names the mark that was looked at, and puts the next one in its place.
 *
 *   free ──▶ reserved ──▶ installed ◀──▶ suspended
 *    ▲          │             │              │
 *    └──────────┘          revoked ◀─────────┘        (and from there to reserved, as from free)
 */
const STATES = ['free', 'reserved', 'installed', 'suspended', 'revoked'] as const
export type MarkState = (typeof STATES)[number]

export type Mark = {
  state: MarkState
  /** The one that has the user, or had it last. 0: none that is known. */
  generation: number
  /** Up to which number generations were ended, as far as this user was told. */
  endedThrough: number
  /** The first digits of its password's digest, so that a password of somebody else is recognised. */
  digestStart: string
}

/** `rekey`, and the number of the layout: 5 + 1 bytes. */
const HEAD = `${Buffer.from('rekey').toString('hex')}01`
const DIGITS = 64
const NO_DIGEST = '0'.repeat(16)

/** What whoever makes the users gives them, the same for all: free, and nothing was ended. */
export const FRESH_MARK = HEAD.padEnd(DIGITS, '0')

/** So that a mark that was copied from another user is none. */
const bound = (user: string) =>
  createHash('sha256').update(`rekey mark of ${user}`).digest('hex').slice(0, 16)

const number = (value: number) => value.toString(16).padStart(8, '0')

/** Bytes: 5 `rekey`, 1 layout, 1 state, 1 unused, 4 generation, 4 ended through, 8 of which user, 8 of the password's digest. */
export function markOf(user: string, { state, generation, endedThrough, digestStart }: Mark): string {
  const at = STATES.indexOf(state).toString(16).padStart(2, '0')
  return `${HEAD}${at}00${number(generation)}${number(endedThrough)}${bound(user)}${digestStart}`
}

export const isMark = (digest: string): boolean => digest.startsWith(HEAD)

/** Undefined: it is none of this user. */
export function markIn(user: string, text: string): Mark | undefined {
  if (text === FRESH_MARK) return { state: 'free', generation: 0, endedThrough: 0, digestStart: NO_DIGEST }
  const state = STATES[Number.parseInt(text.slice(12, 14), 16)]
  if (state === undefined || text.slice(32, 48) !== bound(user)) return undefined
  return {
    state,
    generation: Number.parseInt(text.slice(16, 24), 16),
    endedThrough: Number.parseInt(text.slice(24, 32), 16),
    digestStart: text.slice(48),
  }
}

export const startOf = (digest: string): string => digest.slice(0, NO_DIGEST.length)
export const noDigest = NO_DIGEST
