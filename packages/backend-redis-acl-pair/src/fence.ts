import { RekeyError } from '@rekey/contracts'
import { type Mark, type MarkState, markOf, noDigest, startOf } from './mark.ts'
import { expectSame, type Pair, type User } from './users.ts'

/**
 * What to do so that it is as asked, judged from both users as they are. Nothing to do: it is so. Each step holds only for the mark
 * that was looked at; where somebody else was faster it does nothing, and the pair is looked at again. What cannot be known is an
 * error that says what to do.
 */
export type Step = {
  user: string
  from: string
  to: string
  rules: string[]
  /** Sessions that are ended before. */
  endFirst?: string[]
}

const HELD: MarkState[] = ['reserved', 'installed', 'suspended']
const GIVEN: MarkState[] = ['installed', 'suspended', 'revoked']

function step({ name, text, mark }: User, next: Partial<Mark>, ...rules: string[]): Step {
  return { user: name, from: text, to: markOf(name, { ...mark, ...next }), rules }
}

const holder = ({ users }: Pair, generation: number, states: MarkState[]) =>
  users.find(({ mark }) => mark.generation === generation && states.includes(mark.state))

const endedThrough = ({ users }: Pair) => Math.max(0, ...users.map(({ mark }) => mark.endedThrough))

/** Somebody has a login on a user that no generation has. */
const isForeign = ({ isOn, passwords }: User) => isOn || passwords.length > 0

/** A login on a user of which nothing is known from before: that could be any generation's. */
const isUnaccounted = ({ mark, passwords }: User) => mark.generation === 0 && passwords.length > 0

/** Before it is said that a generation is nowhere. */
export function expectAccounted({ users, faults }: Pair): void {
  const [fault] = faults
  if (fault) throw fault
  const unaccounted = users.find(isUnaccounted)
  if (unaccounted)
    throw new RekeyError(
      'foreign_writer',
      `the user ${unaccounted.name} has a fresh mark, and a password beside it: whose that is is not known. Reset it, or give the login another user`,
    )
}

function expectPair({ users, faults }: Pair): void {
  const [fault] = faults
  if (fault) throw fault
  expectSame(users)
}

const about = (generation: number) => `generation ${generation} of this pair`
const notNow = (generation: number, words: string) =>
  new RekeyError('not_allowed_now', `${about(generation)} ${words}`)
const foreign = (generation: number, words: string) =>
  new RekeyError('foreign_writer', `${about(generation)} ${words}`)

function full({ users }: Pair, generation: number): RekeyError {
  const who = users
    .map(({ name, mark }) => `${name} has generation ${mark.generation} (${mark.state})`)
    .join(', ')
  return notNow(
    generation,
    `finds no free user: ${who}. If one of those was ended, the server has older users than it had: see docs/guides/redis-login.md, "Older users came back"`,
  )
}

/** The user that was kept for a generation. */
export const reservedFor = (pair: Pair, generation: number): string | undefined =>
  holder(pair, generation, HELD)?.name

/** Keeps a user for a generation, so that its value can name it. The one that has rested longest. */
export function reserve(pair: Pair, generation: number): Step[] {
  expectPair(pair)
  if (holder(pair, generation, HELD)) return []
  if (generation <= endedThrough(pair)) throw notNow(generation, 'was ended')
  expectAccounted(pair)
  const [user] = pair.users
    .filter(({ mark }) => mark.state === 'free' || mark.state === 'revoked' || isStale(mark, generation))
    .toSorted((a, b) => a.mark.generation - b.mark.generation)
  if (!user) throw full(pair, generation)
  return [step(user, { state: 'reserved', generation, digestStart: noDigest })]
}

/** What was reserved for an earlier one, and never installed, is in nobody's way. */
const isStale = ({ state, generation }: Mark, than: number) => state === 'reserved' && generation < than

export function install(
  pair: Pair,
  { generation, user: name, digest }: { generation: number; user: string; digest: string },
): Step[] {
  expectPair(pair)
  const user = pair.users.find((one) => one.name === name)
  if (!user) throw new RekeyError('value_refused', `the value names the user ${name}, who is not of the pair`)
  const own = user.mark.generation === generation ? user : holder(pair, generation, HELD)
  if (own && HELD.includes(own.mark.state)) {
    if (own.mark.state === 'suspended') throw notNow(generation, 'is suspended')
    if (own !== user) throw foreign(generation, 'has another user than its value names')
    if (own.mark.state === 'installed') {
      if (own.passwords.length !== 1 || own.passwords[0] !== digest)
        throw foreign(generation, `has another password at ${name}, or one more`)
      if (!own.isOn) throw foreign(generation, `was switched off at ${name} by somebody else`)
      return []
    }
  }
  if (generation <= endedThrough(pair)) throw notNow(generation, 'was ended')
  const { state } = user.mark
  if (state === 'installed' || state === 'suspended' || user.mark.generation > generation)
    throw full(pair, generation)
  if (isForeign(user))
    throw foreign(generation, `finds ${name} with a login of somebody else: it is on, or has a password`)
  return [
    {
      ...step(
        user,
        { state: 'installed', generation, digestStart: startOf(digest) },
        'resetpass',
        `#${digest}`,
        'on',
      ),
      // Of a generation that was ended, for the user is off. From now on nobody could tell them from the new one's.
      endFirst: (pair.sessions.get(name) ?? []).map(({ id }) => id),
    },
  ]
}

export function suspend(pair: Pair, generation: number): Step[] {
  const user = holder(pair, generation, ['installed', 'suspended'])
  if (!user) expectAccounted(pair)
  if (!user || (user.mark.state === 'suspended' && !user.isOn)) return []
  return [step(user, { state: 'suspended' }, 'off')]
}

export function reinstate(pair: Pair, generation: number): Step[] {
  const user = holder(pair, generation, ['installed', 'suspended'])
  if (!user) {
    expectAccounted(pair)
    throw notNow(generation, 'is not there any more')
  }
  const { name, mark, passwords, isOn } = user
  if (passwords.length !== 1 || startOf(passwords[0] ?? '') !== mark.digestStart)
    throw foreign(generation, `has another password at ${name}, or one more: it is not switched on`)
  if (mark.state === 'suspended') return [step(user, { state: 'installed' }, 'on')]
  if (!isOn) throw foreign(generation, `was switched off at ${name} by somebody else`)
  return []
}

/**
 * Also of a generation that was never there: it must not come later, to neither of the two. What can be ended is ended, whatever
 * is wrong with the other user. On a user that was only kept for it there is no login of ours: if there is one, somebody else uses it.
 */
export function revoke({ users }: Pair, generation: number): Step[] {
  return users.flatMap((user) => {
    const { mark } = user
    const ended = { endedThrough: Math.max(mark.endedThrough, generation) }
    const isItsOwn = mark.generation === generation
    if (isItsOwn && (mark.state === 'installed' || mark.state === 'suspended'))
      return [step(user, { ...ended, state: 'revoked', digestStart: noDigest }, 'off', 'resetpass')]
    if (isItsOwn && mark.state === 'reserved') return [step(user, { ...ended, state: 'free' })]
    return mark.endedThrough < generation ? [step(user, ended)] : []
  })
}

/** Where a generation was, and nobody else is: whoever is still logged in there came with it. */
export const endedUser = (pair: Pair, generation: number): User | undefined => {
  const user = holder(pair, generation, ['revoked'])
  return user && user.passwords.length === 0 ? user : undefined
}

/** That a revocation has done what it is asked to have done. */
export function expectEnded(pair: Pair, generation: number): void {
  const [fault] = pair.faults
  if (fault) throw fault
  const isItsOwn = pair.users.some(({ mark }) => mark.generation === generation)
  if (!isItsOwn) expectAccounted(pair)
  else if (!endedUser(pair, generation)) userInUse(pair, generation)
}

/** The user whose sessions are those of a generation; undefined: there are none. Throws where that cannot be known. */
export function userInUse(pair: Pair, generation: number): User | undefined {
  const user = holder(pair, generation, GIVEN)
  if (!user) {
    expectAccounted(pair)
    const known = Math.max(endedThrough(pair), ...pair.users.map(({ mark }) => mark.generation))
    if (generation <= known) return undefined
    throw new RekeyError(
      'not_found',
      `the users know of generations up to ${known}, and not of ${generation}: it was never installed, or the server has older users than it had; see docs/guides/redis-login.md, "Older users came back"`,
    )
  }
  if (user.mark.state === 'revoked' && user.passwords.length > 0 && pair.sessions.has(user.name))
    throw foreign(
      generation,
      `was ended, and somebody else has given ${user.name} a password since: whose its sessions are is not known. Take that password away and end them (CLIENT KILL USER ${user.name})`,
    )
  return user
}
