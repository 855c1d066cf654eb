import { RekeyError } from '@rekey/contracts'
import type { Ask } from './connection.ts'
import type { Step } from './fence.ts'
import { RedisError } from './resp.ts'
import { PROBE } from './try-login.ts'
import { type Pair, sessionsIn, type User, userOf } from './users.ts'

/** How often it is looked again where somebody else changes the users meanwhile. */
const LOOKS_MAX = 20

/**
 * Both users and their clients, of one moment. The users are asked before and after the clients, because nothing else in Redis holds
 * them together (MULTI is refused to a server that is out of memory): a mark that was there both times was there all the while, for
 * a generation never gets a user back.
 */
async function look(ask: Ask, names: string[]): Promise<Pair | undefined> {
  const asked = names.map((user) => ['ACL', 'GETUSER', user])
  const replies = await ask(...asked, ['CLIENT', 'LIST'], ...asked)
  const usersIn = (from: number) => names.map((name, at) => userOf(name, replies[from + at]))
  const [before, after] = [usersIn(0), usersIn(names.length + 1)]
  if (JSON.stringify(before.map(shownOf)) !== JSON.stringify(after.map(shownOf))) return undefined
  return {
    users: after.filter((one): one is User => !RekeyError.is(one)),
    faults: after.filter(RekeyError.is),
    sessions: sessionsIn(String(replies[names.length]), PROBE),
  }
}

const shownOf = (seen: User | RekeyError) =>
  RekeyError.is(seen) ? seen.message : [seen.text, seen.isOn, ...seen.passwords]

/**
 * Looks, decides and acts, until there is nothing more to do; returns the pair as it was seen then. So what was lost on its way, and what
 * somebody else did in between, is judged again and never assumed.
 */
export async function settled(ask: Ask, names: string[], decide: (pair: Pair) => Step[]): Promise<Pair> {
  for (let left = LOOKS_MAX; left > 0; left -= 1) {
    const pair = await look(ask, names)
    if (!pair) continue
    const steps = decide(pair)
    if (steps.length === 0) return pair
    try {
      await ask(...steps.flatMap(commandsOf))
    } catch (error) {
      if (!(error instanceof RedisError && error.meaning === 'changed')) throw error
    }
  }
  throw new RekeyError('backend_unavailable', `others change ${names.join(' and ')} all the time`)
}

function commandsOf({ user, from, to, rules, endFirst = [] }: Step): string[][] {
  return [...killsOf(user, endFirst), ['ACL', 'SETUSER', user, `!${from}`, ...rules, `#${to}`]]
}

/** By number and user: a client that has logged in as another one since is left alone. */
export const killsOf = (user: string, ids: string[]): string[][] =>
  ids.map((id) => ['CLIENT', 'KILL', 'ID', id, 'USER', user])
