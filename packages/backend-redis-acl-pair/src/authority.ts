import {
  type Authority,
  type Call,
  type ProbeResult,
  type RedisAclPairSpec,
  RekeyError,
  type Secret,
} from '@rekey/contracts'
import { type Ask, withRedis } from './connection.ts'
import { rebuilt } from './failure.ts'
import * as fences from './fence.ts'
import { digestOf, loginOf, managerOf, newLogin, placeOf, strongLoginOf } from './login.ts'
import { RedisError } from './resp.ts'
import { PROBE, tryLogin } from './try-login.ts'
import { expectSame, sessionsIn, userOf } from './users.ts'

/** How often a change is tried again where somebody else changed the fence meanwhile. */
const CHANGES_MAX = 20
const AGAIN_MS = 50
/** How long ended sessions may take to be gone. */
const ENDING_MS = 3_000

/** All that an authority can do whose values we make. */
export type RedisAclPairAuthority = Required<
  Omit<Authority, 'adopt' | 'list' | 'mint' | 'keep' | 'discard' | 'lastUsed' | 'show'>
>

/**
 * Two ACL users, `<pair>_a` and `<pair>_b`, with the same permissions, which are never touched. A generation has one of them, so
 * that two can log in side by side. The server is given SHA-256 digests, and no password.
 */
export function redisAclPairAuthority(
  spec: Omit<RedisAclPairSpec, 'kind' | 'soakMs'>,
  { connection }: { connection: () => Secret },
): RedisAclPairAuthority {
  const { pair, aclFile } = spec
  const users = [`${pair}_a`, `${pair}_b`]
  const key = `rekey:acl-pair:${pair}`
  const endpoints = spec.endpoints.map(({ name, url }) => ({ name, place: placeOf(url) }))
  const [first] = endpoints
  if (!first) throw new RekeyError('invalid_configuration', `the pair ${pair} has no endpoint`)
  const { place } = first

  async function managing<T>(what: string, { signal }: Call, work: (ask: Ask) => Promise<T>): Promise<T> {
    try {
      const { username, password, ...where } = managerOf(connection(), spec.connection)
      return await withRedis(where, { username, password, name: 'rekey' }, signal, work)
    } catch (error) {
      throw rebuilt(error, `${what} of the ACL pair ${pair}`, signal)
    }
  }

  function fenceOf(text: unknown): fences.Fence {
    if (typeof text !== 'string') return fences.freshFence(users)
    try {
      return fences.Fence.parse(JSON.parse(text))
    } catch {
      throw new RekeyError('bad_response', `the key ${key} does not hold what Rekey has put there`)
    }
  }

  /** One change of the fence, and of a user with it. */
  const changing = (
    what: string,
    call: Call,
    generation: number,
    /** `seen` throws where the two are no pair: what ends a generation does not ask for that. */
    decide: (fence: fences.Fence, seen: () => Map<string, fences.UserSeen>) => fences.Change,
  ): Promise<fences.Fence> =>
    managing(what, call, async (ask) => {
      for (let left = CHANGES_MAX; left > 0; left -= 1) {
        const [, text, ...rows] = await ask(
          ['WATCH', key],
          ['GET', key],
          ...users.map((user) => ['ACL', 'GETUSER', user]),
        )
        const seen = () => {
          const both = rows.map((row, at) => userOf(users[at] ?? '', row))
          expectSame(both)
          return new Map(both.map((user) => [user.name, user]))
        }
        const { verdict, fence, acl } = decide(fenceOf(text), seen)
        if (verdict !== 'done' && verdict !== 'held') throw refusalOf(generation, verdict)
        if (verdict === 'done') {
          const replies = await ask(
            ['MULTI'],
            ['SET', key, JSON.stringify(fence)],
            ...(acl ? [['ACL', 'SETUSER', acl.user, ...acl.rules]] : []),
            ...(acl?.endSessions ? [['CLIENT', 'KILL', 'USER', acl.user]] : []),
            ['EXEC'],
          )
          const done = replies.at(-1)
          if (done === null) continue
          const failed = Array.isArray(done) && done.find((reply) => reply instanceof RedisError)
          if (failed) throw failed
        }
        // Also of what was done before: whoever did it may have died on the way here.
        if (aclFile) await ask(['ACL', 'SAVE'])
        return fence
      }
      throw new RekeyError('backend_unavailable', `${what}: others change the pair ${pair} all the time`)
    })

  function refusalOf(generation: number, verdict: fences.Verdict): RekeyError {
    const about = `generation ${generation} of the ACL pair ${pair}`
    switch (verdict) {
      case 'ended':
        return new RekeyError('not_allowed_now', `${about} was ended`)
      case 'suspended':
        return new RekeyError('not_allowed_now', `${about} is suspended`)
      case 'absent':
        return new RekeyError('not_allowed_now', `${about} is not there any more`)
      case 'full':
        return new RekeyError('not_allowed_now', `${about} finds no free user: both hold other generations`)
      case 'elsewhere':
        return new RekeyError('foreign_writer', `${about} has another user than its value names`)
      case 'other':
        return new RekeyError('foreign_writer', `${about} has another password there, or was switched off`)
      default:
        return new RekeyError('foreign_writer', `a free user of ${pair} is on: somebody else enabled it`)
    }
  }

  const sessionsOf = async (ask: Ask, generation: number) => {
    const [text, list] = await ask(['GET', key], ['CLIENT', 'LIST'])
    const slot = fenceOf(text).slots.find((one) => one.generation === generation && one.state !== 'reserved')
    return { user: slot?.user, count: slot ? sessionsIn(String(list), slot.user, PROBE) : 0 }
  }

  return {
    kind: 'redis-acl-pair',
    direction: 'outbound',
    slots: 2,
    valueFrom: 'us',

    /** The user is kept for the generation before its value is made: values name their user. */
    async make(generation, call) {
      const fence = await changing('a reservation', call, generation, (now, seen) => {
        seen()
        return fences.reserve(now, generation)
      })
      const slot = fence.slots.find((one) => one.generation === generation)
      if (!slot) throw refusalOf(generation, 'full')
      return newLogin(slot.user, place)
    },

    async install({ generation, value }, call) {
      const login = strongLoginOf(value)
      const { username: user } = login
      if (!users.includes(user))
        throw new RekeyError('value_refused', `the value names a user that is not of the pair ${pair}`)
      const digest = digestOf(login.password)
      const put = () =>
        changing('the installation', call, generation, (fence, seen) =>
          fences.install(fence, seen(), { generation, user, digest }),
        )
      await put()
      for (const { name, place: at } of endpoints) {
        const { verdict, seen } = await tryLogin(login, at, call.signal)
        if (verdict === 'accepted') continue
        // It may have been ended meanwhile: that is said then.
        if (verdict === 'refused') await put()
        const about = `the new login was tried at ${name}`
        if (verdict === 'refused') throw new RekeyError('foreign_writer', `${about} and refused: ${seen}`)
        const code = call.signal.aborted ? 'backend_timeout' : 'backend_unavailable'
        throw new RekeyError(code, `${about}: ${seen}`)
      }
    },

    async suspend(generation, call) {
      await changing('the suspension', call, generation, (fence) => fences.suspend(fence, generation))
    },

    async reinstate(generation, call) {
      await changing('the reinstatement', call, generation, (fence) => fences.reinstate(fence, generation))
    },

    async revoke(generation, call) {
      await changing('the revocation', call, generation, (fence) => fences.revoke(fence, generation))
    },

    sessions: (generation, call) =>
      managing('a count of sessions', call, async (ask) => (await sessionsOf(ask, generation)).count),

    /** Again and again until none is there: one that was logging in at the revocation comes up a moment after it. */
    endSessions: (generation, call) =>
      managing('the end of sessions', call, async (ask) => {
        const until = performance.now() + ENDING_MS
        for (let quiet = 0; quiet < 2; ) {
          const { user, count } = await sessionsOf(ask, generation)
          if (user && count > 0) await ask(['CLIENT', 'KILL', 'USER', user])
          quiet = count === 0 ? quiet + 1 : 0
          if (quiet === 0 && performance.now() > until)
            throw new RekeyError('backend_unavailable', `sessions of generation ${generation} do not end`)
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
        }
      }),

    async probe(value, { signal }) {
      const login = loginOf(value)
      return Promise.all(
        endpoints.map(async ({ name, place: at }): Promise<ProbeResult> => {
          if (!login) return { endpoint: name, verdict: 'unknown', seen: 'not a login' }
          return { endpoint: name, ...(await tryLogin(login, at, signal)) }
        }),
      )
    },
  }
}
